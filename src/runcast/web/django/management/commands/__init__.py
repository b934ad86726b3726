"""`manage.py runcast`."""
