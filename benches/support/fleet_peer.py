"""The same shape of tenant with django-tenants, for benches/fleet.rs.

    fleet_peer.py create|migrate <directory> <socket directory> <tenants> <processes>

<directory>/shape.json says which tables, columns and indexes one of our tenants has. The last line printed is a JSON object.
"""

import json
import multiprocessing
import os
import sys
import time

FIELDS = {
    "uuid": "models.UUIDField({})",
    "text": "models.TextField({})",
    "integer": "models.IntegerField({})",
    "smallint": "models.SmallIntegerField({})",
    "bigint": "models.BigIntegerField({})",
    "boolean": "models.BooleanField({})",
    "date": "models.DateField({})",
    "jsonb": "models.JSONField({})",
    "timestamp with time zone": "models.DateTimeField({})",
}


def class_name(table):
    return "".join(word.capitalize() for word in table.split("_"))


def field(column, table):
    """One column. Foreign keys bring no index of their own, and a text as primary key is a uuid, which brings no second index."""
    options = [] if column["not_null"] else ["null=True"]
    primary = table["primary_key"] == [column["name"]]
    if primary:
        options.append("primary_key=True")
    if column["references"] and not primary:
        other = class_name(column["references"])
        options = [f"'calls.{other}'", "models.DO_NOTHING", "db_index=False", "related_name='+'"] + options
        return f"models.ForeignKey({', '.join(options)}, db_column='{column['name']}')"
    kind = "uuid" if primary and column["type"] == "text" else column["type"]
    if kind.startswith("numeric"):
        return f"models.DecimalField({', '.join(options + ['max_digits=5', 'decimal_places=2'])})"
    if kind == "character varying":
        return f"models.CharField({', '.join(options + ['max_length=255'])})"
    return FIELDS[kind].format(", ".join(options))


def models_source(shape):
    lines = ["from django.db import models", ""]
    for table in shape:
        lines.append(f"class {class_name(table['name'])}(models.Model):")
        names = {}
        if len(table["primary_key"]) > 1:
            lines.append(f"    pk = models.CompositePrimaryKey({', '.join(repr(name) for name in table['primary_key'])})")
        for column in table["columns"]:
            lines.append(f"    {column['name']} = {field(column, table)}")
        lines.append("    class Meta:")
        lines.append(f"        db_table = '{table['name']}'")
        indexes = [
            f"models.Index(fields={[c for c in index['columns']]!r}, name='{index['name'][:30]}')"
            for index in table["indexes"]
            if not index["unique"]
        ]
        unique = [
            f"models.UniqueConstraint(fields={[c for c in index['columns']]!r}, name='{index['name'][:30]}')"
            for index in table["indexes"]
            if index["unique"]
        ]
        lines.append(f"        indexes = [{', '.join(indexes)}]")
        lines.append(f"        constraints = [{', '.join(unique)}]")
        lines.append("")
    return "\n".join(lines)


MORE = """from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("calls", "0001_initial")]
    operations = [
        migrations.AddField("Calls", "more", models.TextField(null=True)),
        migrations.AddIndex("Calls", models.Index(fields=["more"], name="calls_more")),
    ]
"""

CUSTOMERS = """from django.db import models
from django_tenants.models import DomainMixin, TenantMixin

class Client(TenantMixin):
    name = models.CharField(max_length=100)
    auto_create_schema = True

class Domain(DomainMixin):
    pass
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def configure(directory, socket_directory, processes):
    from django.conf import settings

    settings.configure(
        SECRET_KEY="bench",
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={
            "default": {
                "ENGINE": "django_tenants.postgresql_backend",
                "NAME": "django",
                "USER": "postgres",
                "HOST": socket_directory,
            }
        },
        DATABASE_ROUTERS=("django_tenants.routers.TenantSyncRouter",),
        SHARED_APPS=("django_tenants", "django.contrib.contenttypes", "customers"),
        TENANT_APPS=("calls",),
        INSTALLED_APPS=("django_tenants", "django.contrib.contenttypes", "customers", "calls"),
        TENANT_MODEL="customers.Client",
        TENANT_DOMAIN_MODEL="customers.Domain",
        MULTITENANT_RELATIVE_MEDIA_ROOT="",
        TENANT_MULTIPROCESSING_MAX_PROCESSES=processes,
        TENANT_MULTIPROCESSING_CHUNKS=5,
        SILENCED_SYSTEM_CHECKS=["models.W042", "fields.W342"],
    )
    sys.path.insert(0, directory)
    import django

    django.setup()


def create_one(n):
    from customers.models import Client

    Client(schema_name=f"d_{n:04}", name=f"tenant {n}").save(verbosity=0)


def create(directory, tenants, processes):
    from django.core.management import call_command
    from django.db import connection

    for app in ("customers", "calls"):
        call_command("makemigrations", app, verbosity=0)
    call_command("migrate_schemas", "--shared", verbosity=0)
    connection.close()
    started = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        pool.map(create_one, range(tenants), chunksize=2)
    return time.perf_counter() - started


def migrate(directory):
    from django.core.management import call_command

    write(os.path.join(directory, "calls/migrations/0002_more.py"), MORE)
    started = time.perf_counter()
    call_command("migrate_schemas", "--tenant", executor="multiprocessing", verbosity=0)
    return time.perf_counter() - started


def main():
    what, directory, socket_directory, tenants, processes = sys.argv[1:]
    if what == "create":
        with open(os.path.join(directory, "shape.json"), encoding="utf-8") as file:
            shape = json.load(file)
        for app in ("customers", "calls"):
            write(os.path.join(directory, app, "__init__.py"), "")
            write(os.path.join(directory, app, "migrations/__init__.py"), "")
        write(os.path.join(directory, "customers/models.py"), CUSTOMERS)
        write(os.path.join(directory, "calls/models.py"), models_source(shape))
    configure(directory, socket_directory, int(processes))
    seconds = create(directory, int(tenants), int(processes)) if what == "create" else migrate(directory)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
