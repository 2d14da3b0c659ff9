"""The schedule in the admin: the service's own tasks, at times. Which tasks there are is code, not a record."""

import inspect
from typing import Any

from celery import current_app
from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat.admin import IntervalScheduleAdmin, PeriodicTaskAdmin
from django_celery_beat.models import ClockedSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

ROOMS = ("search.tasks.", "feedback.tasks.", "tuning.tasks.", "tmportal.tasks.")

admin.site.unregister([ClockedSchedule, IntervalSchedule, PeriodicTask, SolarSchedule])


def own_tasks() -> list[tuple[str, str]]:
    """Tasks of this service that need no argument, as choices."""
    current_app.loader.import_default_modules()
    return [
        (name, name)
        for name, task in sorted(current_app.tasks.items())
        if name.startswith(ROOMS)
        and all(word.default is not word.empty for word in inspect.signature(task.run).parameters.values())
    ]


class ScheduledTaskForm(forms.ModelForm):
    task = forms.ChoiceField(choices=own_tasks)

    class Meta:
        model = PeriodicTask
        fields = ("name", "task", "enabled", "description", "interval", "crontab", "one_off")


@admin.register(PeriodicTask)
class ScheduledTaskAdmin(PeriodicTaskAdmin):
    """Arguments and queues stay as the service sets them."""

    form = ScheduledTaskForm
    fieldsets = (
        (None, {"fields": ("name", "task", "enabled", "description")}),
        ("Times", {"fields": ("interval", "crontab", "one_off", "last_run_at")}),
        ("As the service sets them", {"fields": ("args", "kwargs", "queue")}),
    )
    readonly_fields = ("last_run_at", "args", "kwargs", "queue")
    change_form_template = None

    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        own = [name for name, _ in own_tasks()]
        super().run_tasks(request, queryset.filter(task__in=own, args="[]", kwargs="{}"))

    run_tasks.short_description = PeriodicTaskAdmin.run_tasks.short_description  # type: ignore[attr-defined]


class IntervalForm(forms.ModelForm):
    class Meta:
        model = IntervalSchedule
        fields = ("every", "period")

    def clean_period(self) -> Any:
        period = self.cleaned_data["period"]
        if period == IntervalSchedule.MICROSECONDS:
            raise forms.ValidationError("The shortest interval is one second.")
        return period


@admin.register(IntervalSchedule)
class WholeSecondsAdmin(IntervalScheduleAdmin):
    form = IntervalForm
