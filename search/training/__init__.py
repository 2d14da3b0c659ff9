"""Training of the image encoder. Pure: no Django, no Celery; torch, numpy and OpenCV only."""
