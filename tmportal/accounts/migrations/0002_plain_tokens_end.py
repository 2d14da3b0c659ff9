"""An older release kept API tokens as they are sent, sessions without their owner, and rights beside the roles."""

from django.db import migrations
from django.db.models import Q


def end_what_was_logged_in(apps, schema_editor):
    """Everybody logs in again, once."""
    with schema_editor.connection.cursor() as cursor:
        tables = schema_editor.connection.introspection.table_names(cursor)
    if "authtoken_token" in tables:
        schema_editor.execute("DROP TABLE authtoken_token")
    apps.get_model("contenttypes", "ContentType").objects.filter(app_label="authtoken").delete()
    apps.get_model("sessions", "Session").objects.all().delete()


def only_roles_give_rights(apps, schema_editor):
    """Administrators could tick whatever they liked. Superusers stay: `manage.py createsuperuser` makes them too."""
    users = apps.get_model("auth", "User").objects.filter(is_superuser=False)
    for user in users.exclude(user_permissions=None):
        user.user_permissions.clear()
    administrators = Q(groups__name="administrator")
    users.filter(administrators, is_staff=False).update(is_staff=True)
    users.exclude(administrators).filter(is_staff=True).update(is_staff=False)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_tokens_sessions_and_logins"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("sessions", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(end_what_was_logged_in, migrations.RunPython.noop),
        migrations.RunPython(only_roles_give_rights, migrations.RunPython.noop),
    ]
