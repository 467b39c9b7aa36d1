"""Parts that requests of several themes share."""

from api.cloud.models.base import Part, ZipText


class ImageConfigPart(Part):
    """A container image."""

    ImageType: str
    ImageUri: str
    RegistryId: str | None = None
    EntryPoint: str | None = None
    Command: str | None = None
    Args: str | None = None
    ContainerImageAccelerate: bool | None = None
    ImagePort: int | None = None


class CodePart(Part):
    """Where a package comes from: ``ZipFile`` (base64), COS, an image, or a Git repository."""

    CosBucketName: str | None = None
    CosObjectName: str | None = None
    ZipFile: ZipText | None = None
    CosBucketRegion: str | None = None
    DemoId: str | None = None
    TempCosObjectName: str | None = None
    GitUrl: str | None = None
    GitUserName: str | None = None
    GitPassword: str | None = None
    GitPasswordSecret: str | None = None
    GitBranch: str | None = None
    GitDirectory: str | None = None
    GitCommitId: str | None = None
    GitUserNameSecret: str | None = None
    ImageConfig: ImageConfigPart | None = None


class FilterPart(Part):
    """A name with alternative values."""

    Name: str
    Values: list[str]


class TagPart(Part):
    """A tag."""

    Key: str
    Value: str
