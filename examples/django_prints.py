"""Stream what a function prints, from Django: python django_prints.py, then curl -N localhost:8000/stream/"""

import signal
import sys
import time

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.urls import path

from runcast.web.django import stream

settings.configure(
    DEBUG=True,
    SECRET_KEY="only an example",
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["runcast.web.django"],
    MIDDLEWARE=["django.middleware.gzip.GZipMiddleware"],
)


def job(times):
    for number in range(times):
        print(f"Task #{number}")
        time.sleep(1)
    print("Done")


def show(request):
    return stream(request, job, int(request.GET.get("times", 10)))


urlpatterns = [path("stream/", show)]
app = get_asgi_application()
wsgi = get_wsgi_application()

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as by Ctrl-C: with last words
    import uvicorn  # runserver sends no chunks

    uvicorn.run(app, port=int(sys.argv[1]) if len(sys.argv) > 1 else 8000, log_level="warning")
