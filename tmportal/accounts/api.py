"""POST a name and a password, get a token."""

from django.contrib.auth import authenticate
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tmportal.accounts.guard import LoginLocked
from tmportal.accounts.tokens import token_create
from tmportal.reading import JSONParser


class TokenInput(serializers.Serializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False)


class TokenOutput(serializers.Serializer):
    token = serializers.CharField(help_text="shown this once; send it as `Authorization: Token ...`")
    expires = serializers.DateTimeField()


class TokenApi(APIView):
    """POST {username, password} -> {token, expires}; send it as `Authorization: Token ...`."""

    authentication_classes = []
    permission_classes = []
    parser_classes = [JSONParser, FormParser]

    @extend_schema(request=TokenInput, responses=TokenOutput)
    def post(self, request: Request) -> Response:
        form = TokenInput(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            user = authenticate(request._request, **form.validated_data)
        except LoginLocked as locked:
            refusal = Throttled(detail=locked.message)
            refusal.wait = locked.seconds  # type: ignore[attr-defined]  # DRF makes the header of it
            raise refusal from None
        if user is None:
            raise ValidationError({"non_field_errors": ["That name and password do not match an account."]})
        token, row = token_create(user)
        return Response({"token": token, "expires": row.expires_at})
