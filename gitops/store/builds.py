"""What was built: images by their package's key, layers by the tar that they were made of."""

from sqlalchemy import delete, select

from gitops.model import Image, Layer
from gitops.store import documents, tables
from gitops.store.database import Database, upsert
from gitops.store.files.blobs import Blobs, Layers


class Builds:
    """Rows that point to blobs and layers. A row whose files are gone counts as not built."""

    def __init__(self, database: Database, blobs: Blobs, layers: Layers) -> None:
        self._database, self._blobs, self._layers = database, blobs, layers

    def image(self, key: str) -> Image | None:
        with self._database.read() as connection:
            text = connection.scalar(select(tables.images.c.document).where(tables.images.c.key == key))
        return documents.image(text) if text else None

    def save_image(self, image: Image) -> None:
        with self._database.write() as connection:
            upsert(connection, tables.images, {"key": image.key}, {"document": documents.dump(image)})

    def forget_image(self, key: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(tables.images).where(tables.images.c.key == key))

    def image_keys(self) -> frozenset[str]:
        """Of every image that was built."""
        with self._database.read() as connection:
            return frozenset(connection.scalars(select(tables.images.c.key)))

    def usable(self) -> frozenset[str]:
        """Keys of the images whose layers are all there."""
        with self._database.read() as connection:
            images = [documents.image(text) for text in connection.scalars(select(tables.images.c.document))]
        return frozenset(image.key for image in images if all(map(self._blobs.has, image.layers)))

    def layer(self, diff_id: str, recipe: int) -> Layer | None:
        columns = tables.layers.c
        query = select(columns.root, columns.size).where(columns.diff_id == diff_id, columns.recipe == recipe)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return Layer(row.root, row.size) if row and self._layers.has(row.root) else None

    def save_layer(self, diff_id: str, recipe: int, layer: Layer) -> None:
        key, columns = {"diff_id": diff_id, "recipe": recipe}, {"root": layer.root, "size": layer.size}
        with self._database.write() as connection:
            upsert(connection, tables.layers, key, columns)
