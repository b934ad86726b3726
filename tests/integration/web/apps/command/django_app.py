"""A command as a view of Django, served by ASGI; its tests make one for WSGI of it."""

import sys
from pathlib import Path

from django.conf import settings

FOLDER = Path(__file__).parent
settings.configure(
    DEBUG=True,
    SECRET_KEY="x",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["runcast.web.django"],
    MIDDLEWARE=["django.middleware.gzip.GZipMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
)
from django.core.asgi import get_asgi_application
from django.core.management import execute_from_command_line
from django.urls import include, path

from runcast.web.django import astream, stream


def show(request):
    return stream(request, ["bash", "steps.sh"], cwd=FOLDER)


async def silent(request):
    return await astream(request, ["sleep", "600"])


urlpatterns = [path("stream", show), path("silent", silent), path("", include("runcast.web.django.urls"))]
app = application = get_asgi_application()
settings.WSGI_APPLICATION = __name__ + ".application"
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
