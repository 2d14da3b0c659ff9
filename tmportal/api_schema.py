"""What operations answer beside what they are for: refusals, all in the one shape."""

from typing import Any

_SENTENCES = {
    "400": "The request is not valid; the sentence says why.",
    "401": "Nobody is logged in: get a token at /api/token/.",
    "403": "This account may not do that.",
    "404": "It does not exist, or not for this user.",
    "405": "The address knows no such method.",
    "409": "Somebody or something else changed it first.",
    "413": "More bytes than are taken.",
    "415": "A kind of body that this address does not read.",
    "429": "More was asked than one may; Retry-After says when to ask again.",
    "503": "A part of the service does not answer just now, or too much is asked of it; ask again.",
    "507": "The disk is full or broken; nothing was lost.",
}
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string", "description": "one sentence that says what to do"},
                "fields": {"type": "object", "additionalProperties": {}, "description": "what is wrong, by field"},
            },
            "required": ["code", "message", "fields"],
        }
    },
    "required": ["error"],
}


def with_refusals(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's postprocessing hook."""
    result["components"]["schemas"]["Error"] = _ERROR
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, item in result["paths"].items():
        for method, operation in item.items():
            answers = operation["responses"]
            for status in _refusals(path, method, operation):
                answers.setdefault(status, {"description": _SENTENCES[status], "content": refusal})
            operation["responses"] = dict(sorted(answers.items()))
    return result


def _refusals(path: str, method: str, operation: dict[str, Any]) -> set[str]:
    found = {"400", "405", "503"}
    if operation.get("security"):
        found |= {"401", "403"}
    if "{" in path or any(parameter["name"] == "page" for parameter in operation.get("parameters", [])):
        found.add("404")
    if operation.pop("x-throttled", False):
        found.add("429")
    if method != "get":
        found |= {"409", "413", "415", "429", "507"}
    return found
