"""A command from Django, by ASGI: uvicorn django_app:app, then curl -N -L -d "" localhost:8000/build"""

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponseRedirect
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from runcast.web.asgi import RunsASGI
from runcast.web.responder import by_id_alone

settings.configure(
    SECRET_KEY="only an example", ALLOWED_HOSTS=["localhost", "127.0.0.1"], ROOT_URLCONF=__name__
)
runs = RunsASGI(authorize=by_id_alone)


@csrf_exempt  # for curl; a form has its token
@require_POST
def build(request):
    run = runs.start(["make"])
    return HttpResponseRedirect(f"/runs/{run.id}/log")


urlpatterns = [path("build", build)]
app = runs.beside(get_asgi_application())
