from django.db import migrations, models


def as_it_was(apps, schema_editor):
    """What was concluded so far holds the changes that had come until then."""
    Conclusion = apps.get_model("feedback", "Conclusion")
    Selection = apps.get_model("feedback", "Selection")
    for pk, search, at in list(Conclusion.objects.values_list("pk", "search", "at")):
        last = Selection.objects.filter(search=search, at__lte=at).aggregate(last=models.Max("id"))["last"]
        if last:
            Conclusion.objects.filter(pk=pk).update(last_change=last)


class Migration(migrations.Migration):
    dependencies = [("feedback", "0002_guards")]

    operations = [
        migrations.AddField(
            model_name="conclusion",
            name="last_change",
            field=models.PositiveBigIntegerField(
                default=0, help_text="the latest change of the selection that this concludes; 0 where there was none"
            ),
        ),
        migrations.RunPython(as_it_was, migrations.RunPython.noop),
    ]
