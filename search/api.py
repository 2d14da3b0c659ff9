"""REST: searches, query images, thumbnails. Routes that join results with selections live in tmportal."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers, status
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from search import media
from search.concepts import concept_ask, marks_found
from search.errors import NotThere, TooLarge
from search.retrieval.imaging import MAX_BYTES, TOO_LARGE
from search.roles import IsExaminer
from search.selectors import mark_get, search_get, searches_of
from search.serializers import ConceptInput, ConceptOutput, SearchInput, SearchOutput, search_out
from search.services import preview_name, search_create

_FORM_BYTES = 64 * 1024  # the other fields and the form's own edges


PAGE = OpenApiParameter("page", {"type": "integer", "minimum": 1, "maximum": 10**9 - 1}, default=1)


class SearchPages(PageNumberPagination):
    page_size = 50
    last_page_strings = ()


class SearchesApi(APIView):
    """POST an image to search; GET one's own searches, newest first."""

    permission_classes = [IsExaminer]
    parser_classes = [MultiPartParser]

    @extend_schema(
        request={"multipart/form-data": SearchInput}, responses={201: SearchOutput}, operation_id="searches_create"
    )
    def post(self, request: Request) -> Response:
        # Before the body is read: what is too large never reaches the disk.
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES + _FORM_BYTES:
            raise TooLarge(TOO_LARGE)
        form = SearchInput(data=request.data)
        form.is_valid(raise_exception=True)
        upload = form.validated_data["image"]
        search = search_create(
            owner=request.user,
            data=upload.read(),
            image_name=upload.name or "",
            filters=form.filters(),
            depth=form.validated_data["depth"],
        )
        return Response(search_out(search), status=status.HTTP_201_CREATED)

    @extend_schema(
        parameters=[PAGE],
        responses=inline_serializer(
            "SearchPage",
            {
                "count": serializers.IntegerField(),
                "next": serializers.URLField(allow_null=True),
                "previous": serializers.URLField(allow_null=True),
                "results": SearchOutput(many=True),
            },
        ),
        operation_id="searches_list",
    )
    def get(self, request: Request) -> Response:
        pages = SearchPages()
        rows = pages.paginate_queryset(searches_of(request.user).filter(owner_id=request.user.pk), request, view=self)
        return pages.get_paginated_response([search_out(row) for row in rows or ()])


class SearchApi(APIView):
    permission_classes = [IsExaminer]

    @extend_schema(responses=SearchOutput)
    def get(self, request: Request, search_id: UUID) -> Response:
        return Response(search_out(search_get(user=request.user, search_id=search_id)))


class ConceptsApi(APIView):
    """GET marks by what they show, said in words. Nothing is recorded."""

    permission_classes = [IsExaminer]

    @extend_schema(parameters=[ConceptInput], responses=ConceptOutput)
    def get(self, request: Request) -> Response:
        form = ConceptInput(data=request.query_params)
        form.is_valid(raise_exception=True)
        answer = concept_ask(text=form.validated_data["q"], filters=form.filters(), top=form.validated_data["top"])
        results = [
            {**hit, "name": mark.name, "owner": mark.owner, "thumbnail": media.thumbnail_url(mark.number)}
            for hit, mark in marks_found(answer)
        ]
        shown = {name: answer[name] for name in ("words", "scanned", "snapshot")}
        return Response(ConceptOutput({**shown, "results": results}).data)


class _ImageApi(APIView):
    permission_classes = [IsExaminer]

    def image(self, name: str) -> HttpResponse:
        try:
            data = media.read(name)
        except FileNotFoundError:
            raise NotThere("The image is no longer on file.") from None
        return HttpResponse(data, content_type="image/webp", headers=media.SERVED_HEADERS)


_IMAGE = {(200, "image/webp"): OpenApiResponse(OpenApiTypes.BINARY)}


class SearchImageApi(_ImageApi):
    """The query, re-encoded, at most 512 px."""

    @extend_schema(responses=_IMAGE)
    def get(self, request: Request, search_id: UUID, **_: Any) -> HttpResponse:
        return self.image(preview_name(search_get(user=request.user, search_id=search_id).image))


class MarkThumbnailApi(_ImageApi):
    """A registered mark, at most 256 px."""

    @extend_schema(responses=_IMAGE)
    def get(self, request: Request, number: str, **_: Any) -> HttpResponse:
        return self.image(media.thumbnail_name(mark_get(number).image))
