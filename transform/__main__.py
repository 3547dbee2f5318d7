from common import terminal  # isort: split

from common import settings as environment
from common import warehouse
from transform.build import TransformError, app

if __name__ == "__main__":
    terminal.run(
        app,
        environment.SettingsError,
        warehouse.WarehouseError,
        TransformError,
        stopped="stopped; the published copy is the one before, make transform builds what is missing",
    )
