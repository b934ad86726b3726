"""Watch a task of Celery by its id, from Django: POST /orders, then GET /orders/ID.

celery -A django_celery worker
gunicorn --workers 2 --threads 40 django_celery:wsgi
"""

import time
from pathlib import Path

import django
from celery import Celery
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

import runcast
from runcast.web.django import cast, stream

settings.configure(
    SECRET_KEY="only an example",
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["runcast.web.django"],
    RUNCAST={
        "STORE": Path(__file__).resolve().with_name("runs"),
        "AUTHORIZE": lambda verb, run, request: False,  # `request.original.user.is_staff`, say
    },
)
django.setup()  # in the worker, too: its tasks have the project's store from here on
celery = Celery("orders", broker="redis://localhost")


@celery.task(bind=True)
def send_order(self, order):
    with runcast.attach("send order", key=self.request.id):
        for number in range(5):
            print(f"packing {order}, {number}")
            time.sleep(1)


@csrf_exempt  # only an example
def new(request):
    return HttpResponse(send_order.delay(request.POST["order"]).id, status=202)


def watch(request, task):
    run = next(cast().store.list(1, key=str(task)), None)
    if run is None:  # it waits for a worker
        return HttpResponse("not begun\n", content_type="text/plain", headers={"Refresh": "1"}, status=202)
    return stream(request, run)


urlpatterns = [
    path("orders", new),
    path("orders/<uuid:task>", watch),
    path("", include("runcast.web.django.urls")),
]
wsgi = get_wsgi_application()
