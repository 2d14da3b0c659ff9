"""Scheduled runs follow the schedule, whatever it is: the task, its entry and the kind no longer say "weekly"."""

from django.db import migrations, models


def rename(apps, schema_editor):
    entries = apps.get_model('django_celery_beat', 'PeriodicTask').objects
    entries.filter(task='tuning.tasks.weekly').update(task='tuning.tasks.scheduled')
    if not entries.filter(name='Tuning').exists():
        entries.filter(name='Weekly tuning').update(name='Tuning')


class Migration(migrations.Migration):

    dependencies = [
        ('tuning', '0003_guards'),
        ('django_celery_beat', '0019_alter_periodictasks_options'),
    ]

    operations = [
        migrations.AlterField(
            model_name='tuningrun',
            name='kind',
            field=models.CharField(choices=[('scheduled', 'scheduled'), ('manual', 'by hand'), ('dry_run', 'dry run'), ('encoder', 'encoder'), ('follow_up', 'follow-up')], max_length=10),
        ),
        migrations.AlterField(
            model_name='tuningrun',
            name='period',
            field=models.CharField(blank=True, max_length=24, null=True, unique=True),
        ),
        migrations.RunPython(rename, migrations.RunPython.noop),
    ]
