"""Settings. Everything an office changes is an environment variable; the table is in docs/operations.md.

Nothing is created here: `manage.py bootstrap` makes the data directory, the keys and the database.
"""

import secrets
from pathlib import Path
from typing import Any

import dj_database_url

from tmportal import env, logs
from tmportal.data_dir import static_folder

BASE_DIR = Path(__file__).resolve().parent.parent
TM_DATA_DIR = env.folder("TM_DATA_DIR", BASE_DIR / "data")
TM_PORT = env.number("PORT", 8000, low=1, high=65535)
TM_BIND = env.text("TM_BIND", "127.0.0.1")
DEBUG = env.flag("TM_DEBUG")
if DEBUG and not env.is_loopback(TM_BIND):
    raise env.BadSetting(
        f"TM_DEBUG=1 shows code and settings to whoever reaches {TM_BIND}: set TM_DEBUG=0, or TM_BIND=127.0.0.1."
    )


def _secret_key() -> str:
    """The key from the environment or the data directory; a throw-away one where neither exists yet."""
    kept = TM_DATA_DIR / "secret-key"
    return env.secret("TM_SECRET_KEY") or (kept.read_text().strip() if kept.is_file() else secrets.token_urlsafe(60))


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env.words("TM_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("TM_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "django_celery_beat",
    "search",
    "feedback",
    "tuning",
    "tmportal.accounts",
    "tmportal",
]

MIDDLEWARE = [
    "tmportal.logs.RequestLogMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",  # pictures: an ETag, and 304 while it holds
    "tmportal.security.ResponseHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "tmportal.urls"
WSGI_APPLICATION = "tmportal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tmportal.context.portal",
            ]
        },
    }
]

# -- Database: SQLite in the data directory, or any server by DATABASE_URL ---------------------------------
DATABASE_URL = env.text("DATABASE_URL")
_DATABASE: dict[str, Any] = (
    dict(dj_database_url.parse(DATABASE_URL))
    if DATABASE_URL
    else {"ENGINE": "django.db.backends.sqlite3", "NAME": TM_DATA_DIR / "tmportal.sqlite3"}
)
# Threads keep their connections: opening one costs as much as a request.
_DATABASE |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
if str(_DATABASE["ENGINE"]).endswith("sqlite3"):
    _DATABASE["OPTIONS"] = {
        # Readers never wait for the writer (WAL); writers queue instead of failing (IMMEDIATE + timeout). A commit is
        # on disk when it returns (FULL): NORMAL syncs the log only at checkpoints, and a power cut takes the rest.
        # Each connection keeps 8 MB of pages: the web server alone has sixteen.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8000;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
    } | _DATABASE.get("OPTIONS", {})
DATABASES = {"default": _DATABASE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- Broker: the embedded server's socket in the data directory, or any Redis by REDIS_URL ------------------
BROKER_SOCKET = TM_DATA_DIR / "run" / "broker.sock"
REDIS_URL = env.text("REDIS_URL")
CELERY_BROKER_URL = REDIS_URL or f"redis+socket://{BROKER_SOCKET}"
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Who publishes hears at once that the broker is away.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "socket_keepalive": not CELERY_BROKER_URL.startswith("redis+socket"),
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_IGNORE_RESULT = True  # results live in the database
CELERY_TASK_PUBLISH_RETRY = False  # a dead broker is noticed at once; the sweep sends the work again
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "tuning"
CELERY_TASK_ROUTES = {
    "search.tasks.run_searches": {"queue": "search"},
    "search.tasks.run_concepts": {"queue": "questions"},
    "search.tasks.run_refine": {"queue": "questions"},
    "search.tasks.publish_snapshot": {"queue": "ingest"},
    "search.tasks.renew_snapshot": {"queue": "ingest"},
    "tuning.tasks.*": {"queue": "tuning"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONSUMER = "search.worker:Consumer"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "tmportal.timetable:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
DJANGO_CELERY_BEAT_TZ_AWARE = True

# -- Who may do what ----------------------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = ["tmportal.accounts.guard.GuardedBackend"]
SESSION_ENGINE = "tmportal.accounts.sessions"
# Wrong passwords in a row that lock an account, and those of an address over all accounts; the lock ends by itself.
TM_LOGIN_TRIES = env.number("TM_LOGIN_TRIES", 10, low=1, high=1_000)
TM_LOGIN_TRIES_ADDRESS = env.number("TM_LOGIN_TRIES_ADDRESS", 50, low=1, high=100_000)
TM_LOGIN_LOCK_MINUTES = env.number("TM_LOGIN_LOCK_MINUTES", 15, low=1, high=10_080)
TM_TOKEN_HOURS = env.number("TM_TOKEN_HOURS", 12, low=1, high=8_760)
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "search"
LOGOUT_REDIRECT_URL = "login"

# -- HTTP security; TM_HTTPS=1 behind TLS switches on what would lock out a plain local start --------------
TM_HTTPS = env.flag("TM_HTTPS")
SECURE_SSL_REDIRECT = TM_HTTPS
SESSION_COOKIE_SECURE = TM_HTTPS
CSRF_COOKIE_SECURE = TM_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if TM_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = TM_HTTPS
SECURE_HSTS_PRELOAD = TM_HTTPS
TM_BEHIND_PROXY = env.flag("TM_BEHIND_PROXY")  # tmportal.web believes its X-Forwarded-For and -Proto, and no one else's
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TM_BEHIND_PROXY else None
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # form fields; files stream to disk

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tmportal.accounts.tokens.HashedTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "tmportal.errors.exception_handler",
    # No forms: the addresses that take them say so themselves.
    "DEFAULT_PARSER_CLASSES": ["tmportal.reading.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "tmportal.reading.AnyAccept",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "NUM_PROXIES": 0,  # addresses are REMOTE_ADDR; the web server sets it from a proxy that is trusted
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "tmportal",
    "DESCRIPTION": "Adaptive trademark image search: searches, results, selections, reports and tuning.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_PATCH": False,  # what PATCH takes it also needs
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "tmportal.api_schema.with_refusals",
    ],
    "ENUM_NAME_OVERRIDES": {"SearchStatusEnum": "search.models.Search.Status"},
}

# -- Search and tuning --------------------------------------------------------------------------------------
TM_CANDIDATES = env.number("TM_CANDIDATES", 1000, low=10, high=100_000)
# Taken up by the next snapshot: how its searches find their candidates, and by which code (search/retrieval/hashing).
TM_CANDIDATE_STAGE = env.choice("TM_CANDIDATE_STAGE", "linear", ("linear", "hamming"))
TM_HASH = env.choice(
    "TM_HASH", "itq-64", [f"{kind}-{n}" for kind in ("itq", "hash-000", "hash-001") for n in (32, 64, 128)]
)
TM_VERIFY_SECONDS = env.number("TM_VERIFY_SECONDS", 900, low=1, high=31_536_000)
TM_DISK_FLOOR_MB = env.number("TM_DISK_FLOOR_MB", 500, low=0, high=100_000_000)
TM_RESULTS = env.number("TM_RESULTS", 240, low=10, high=5_000)
TM_PAGE_SIZE = env.number("TM_PAGE_SIZE", 24, low=4, high=200)
TM_QUEUE = env.number("TM_QUEUE", 2000, low=1, high=100_000)  # searches that may wait, of everybody
TM_QUEUE_EXAMINER = env.number("TM_QUEUE_EXAMINER", 300, low=1, high=100_000)
TM_HELD_OUT = env.folder("TM_HELD_OUT", BASE_DIR / "search" / "demo")  # queries/ and pool/ in METU layout
TM_TUNING_MIN_SEARCHES = env.number("TM_TUNING_MIN_SEARCHES", 30, low=1, high=1_000_000)
TM_TUNING_MIN_EXAMINERS = env.number("TM_TUNING_MIN_EXAMINERS", 3, low=1, high=10_000)

# -- Guards of the feedback loop (docs/administrator.md, "Guards") ---
TM_AUDIT_SLOTS = env.number("TM_AUDIT_SLOTS", 2, low=0, high=24)
TM_PLAIN_SHARE = env.share("TM_PLAIN_SHARE", 0.05)
TM_GUARDS_AFTER = env.number(
    "TM_GUARDS_AFTER", 20, low=0, high=1_000_000
)  # an examiner's first searches are as they are
TM_INTERLEAVE_SHARE = env.share("TM_INTERLEAVE_SHARE", 0.0)
TM_INTERLEAVE_MIN = env.number("TM_INTERLEAVE_MIN", 60, low=1, high=1_000_000)
TM_TUNING_APPROVAL = env.flag("TM_TUNING_APPROVAL")
TM_TUNING_COOLDOWN_WEEKS = env.number("TM_TUNING_COOLDOWN_WEEKS", 2, low=0, high=520)

TM_METRICS_TOKEN = env.text(
    "TM_METRICS_TOKEN"
)  # what a monitor sends to read /api/metrics/; empty: administrators only

# -- The rest -----------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
TIME_ZONE = env.text("TM_TIME_ZONE", "UTC")
USE_TZ = True
STATIC_URL = "static/"
_STATIC = TM_DATA_DIR / "static"
STATIC_ROOT = static_folder(_STATIC)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "tmportal.static_files.Storage"
        if STATIC_ROOT != _STATIC
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
MEDIA_ROOT = TM_DATA_DIR / "media"
FILE_UPLOAD_PERMISSIONS, FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o600, 0o700
# JSON from the processes of the service, whose lines programs read; words from commands, whose lines people read.
LOGGING = logs.config(
    level=env.text("TM_LOG_LEVEL", "INFO"),
    as_json=env.choice("TM_LOG_FORMAT", "json" if env.text("TM_ROLE") else "line", ("json", "line")) == "json",
)
