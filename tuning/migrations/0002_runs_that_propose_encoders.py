from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tuning', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='tuningrun',
            name='encoder',
            field=models.CharField(blank=True, db_index=True, max_length=64),
        ),
        migrations.AlterField(
            model_name='tuningrun',
            name='kind',
            field=models.CharField(choices=[('scheduled', 'weekly'), ('manual', 'by hand'), ('dry_run', 'dry run'), ('encoder', 'encoder')], max_length=10),
        ),
    ]
