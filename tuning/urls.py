"""Addresses under /tuning/; all of them are for administrators."""

from django.urls import path

from tuning import views

urlpatterns = [
    path("", views.index, name="tuning"),
    path("runs/", views.run_start, name="tuning-run-start"),
    path("runs/<int:run_id>/", views.run_detail, name="tuning-run"),
    path("runs/<int:run_id>/state/", views.run_state, name="tuning-run-state"),
    path("parameter-sets/<int:set_id>/", views.parameter_set, name="parameter-set"),
    path("parameter-sets/<int:set_id>/roll-back/", views.roll_back, name="parameter-set-roll-back"),
]
