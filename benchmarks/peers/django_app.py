"""A webhook receiver as a Django shop would write it: verify, one INSERT, 200. Served by gunicorn."""

import base64
import hashlib
import hmac
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

SECRET = os.environ["BENCH_SECRET"].encode()

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY="bench",
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["BENCH_DATABASE"],
            "USER": "postgres",
            "HOST": os.environ["BENCH_SOCKET"],
            "PORT": "5432",
            "CONN_MAX_AGE": None,
        }
    },
)


@csrf_exempt
@require_POST
def webhook(request):
    digest = base64.b64encode(hmac.new(SECRET, request.body, hashlib.sha256).digest()).decode()
    if not hmac.compare_digest(digest, request.headers.get("X-Shopify-Hmac-Sha256", "")):
        return HttpResponse(status=401)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO peer_inbox (key, topic, shop, body) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                request.headers["X-Shopify-Webhook-Id"],
                request.headers["X-Shopify-Topic"],
                request.headers["X-Shopify-Shop-Domain"],
                request.body,
            ),
        )
    return HttpResponse(status=200)


urlpatterns = [path("webhooks/shopify", webhook)]
application = get_wsgi_application()
