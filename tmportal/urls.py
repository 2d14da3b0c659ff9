"""All addresses. API names are promises to clients; see /api/schema/."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import include, path, re_path, register_converter
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from search import api as search_api
from search.words.api import WordsApi
from tmportal import api, health, pages, refine_api, status, words_pages
from tmportal.accounts import pages as accounts
from tmportal.accounts.api import TokenApi
from tmportal.errors import handler400, handler403, handler404, handler500  # noqa: F401  Django looks for them here
from tmportal.reading import NumberConverter

register_converter(NumberConverter, "number")

api_patterns = [
    path("token/", TokenApi.as_view(), name="token"),
    path("session/", api.SessionApi.as_view(), name="session"),
    path("health/", health.ReadyApi.as_view(), name="health"),
    path("health/ready/", health.ReadyApi.as_view(), name="ready"),
    path("health/alive/", health.AliveApi.as_view(), name="alive"),
    path("metrics/", status.MetricsApi.as_view(), name="metrics"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("concepts/", search_api.ConceptsApi.as_view(), name="concepts-api"),
    path("words/", WordsApi.as_view(), name="words-api"),
    path("searches/", search_api.SearchesApi.as_view(), name="searches"),
    path("searches/<uuid:search_id>/", search_api.SearchApi.as_view(), name="search-api"),
    path("searches/<uuid:search_id>/image/", search_api.SearchImageApi.as_view(), name="search-image"),
    path("searches/<uuid:search_id>/results/", api.ResultsApi.as_view(), name="results"),
    path("searches/<uuid:search_id>/results/<number:number>/", api.ResultApi.as_view(), name="result"),
    path("searches/<uuid:search_id>/refine/", refine_api.RefineApi.as_view(), name="refine"),
    path("searches/<uuid:search_id>/report/", api.ReportApi.as_view(), name="report"),
    path("searches/<uuid:search_id>/done/", api.DoneApi.as_view(), name="done"),
    path("marks/<number:number>/thumbnail/", search_api.MarkThumbnailApi.as_view(), name="mark-thumbnail"),
    re_path(r"^(?P<rest>.*)/$", api.NoSuchRoute.as_view()),
]

urlpatterns = [
    path("", pages.search, name="search"),
    path("words/", words_pages.names, name="words"),
    path("words/shows/", words_pages.shows, name="words-shows"),
    path("concepts/", words_pages.moved),
    path("searches/", pages.history, name="history"),
    path("searches/<uuid:search_id>/", pages.results, name="search-results"),
    path("status/", status.page, name="status"),
    path("tuning/", include("tuning.urls")),
    path("login/", accounts.LoginPage.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("account/", accounts.account, name="account"),
    path("account/log-out-everywhere/", accounts.leave_everywhere, name="leave-everywhere"),
    path("admin/login/", login_not_required(accounts.admin_login)),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account")),
    path("admin/", admin.site.urls),
    path("api/", include(api_patterns)),
]
