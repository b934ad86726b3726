"""Start a deployment by a form of your own, and lead to its live page: views of a Django project."""

from django.contrib.admin.views.decorators import staff_member_required
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from runcast.web.django import cast, start


@require_POST
@staff_member_required
def deploy(request):
    with cast().acting_as(request.user.get_username()):  # else it is by the user of the process
        run = start(["echo", "deployed"], name="deploy")
    return redirect("runcast:runs", f"runs/{run.id}")
