"""What an adapter offers, in Django, served by ASGI; its tests make one for WSGI of it."""

from common import OPTIONS, allow, job
from django.conf import settings

settings.configure(
    SECRET_KEY="x",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["runcast.web.django"],
    RUNCAST={"COMMANDS": OPTIONS["commands"], "AUTHORIZE": allow},
)
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import include, path

from runcast.web.django import cast, stream


@stream
def count(request):
    yield from range(3)


def work(request):
    return stream(request, job, 2)


def shared(request):
    return stream(request, ["bash", "-c", "echo $$"], key="shared")


def begin(request):
    return HttpResponse(cast().start_command("greet").id)


urlpatterns = [
    path("count", count),
    path("job", work),
    path("shared", shared),
    path("begin", begin),
    path("tools/", include("runcast.web.django.urls")),
]
app = get_asgi_application()
