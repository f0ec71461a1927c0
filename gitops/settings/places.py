"""Where else the files that boxes fetch are published: folders, S3-compatible stores, OCI registries.

[[publish]]
name = "cdn"
to = "s3://toweros/fleet"               # or "/srv/toweros", or "oci://registry.example/toweros"
endpoint = "https://objects.example"    # of a store that is not AWS's
credentials_file = "/etc/toweros/cdn.credentials"
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

S3, OCI = "s3://", "oci://"
PART = "[a-z0-9][a-z0-9._-]*"
TO = rf"^(/[^\s?#]+|s3://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9](/[A-Za-z0-9._-]+)*|oci://[a-z0-9.-]+(:[0-9]+)?(/{PART})+)$"


class PublishTo(BaseModel):
    """One of them. `credentials_file` is read at each use: AWS's format for S3, one with `auths` for a registry."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,40}$")
    to: str = Field(max_length=500, pattern=TO)
    endpoint: str = Field(default="", max_length=300, pattern=r"^((https://|http://127\.0\.0\.1[:/])[^\s@?#]+)?$")
    """Of S3: the store's address, if it is not AWS. In clear on the loopback alone."""
    region: str = Field(default="us-east-1", pattern="^[a-z0-9-]{1,40}$")
    credentials_file: Path | None = None

    @model_validator(mode="after")
    def _fits(self) -> "PublishTo":
        if self.to.startswith("/") and ".." in Path(self.to).parts:
            raise ValueError("a folder is named by its own path, without `..`")
        if self.credentials_file and not self.credentials_file.is_absolute():
            raise ValueError(f"{self.credentials_file}: credentials are named by an absolute path")
        if self.endpoint and not self.to.startswith(S3):
            raise ValueError("only an s3:// place has an endpoint")
        return self
