"""Requests about functions."""

from api.cloud.models.base import Part, Request, ZipText
from api.cloud.models.common import CodePart, FilterPart, TagPart


class CfsInsInfoPart(Part):
    """One file system to mount."""

    UserId: str
    UserGroupId: str
    CfsId: str
    MountInsId: str
    LocalMountDir: str
    RemoteMountDir: str
    IpAddress: str | None = None
    MountVpcId: str | None = None
    MountSubnetId: str | None = None


class CfsConfigPart(Part):
    """File systems to mount."""

    CfsInsList: list[CfsInsInfoPart]


class DeadLetterConfigPart(Part):
    """Where events go that were given up."""

    Type: str
    Name: str
    FilterType: str | None = None


class EipConfigInPart(Part):
    """Fixed public address: ``ENABLE`` or ``DISABLE``."""

    EipStatus: str


class VariablePart(Part):
    """One environment variable."""

    Key: str | None = None
    Value: str | None = None


class EnvironmentPart(Part):
    """Environment variables."""

    Variables: list[VariablePart] | None = None


class MixNodeConfigPart(Part):
    """Instances by node type."""

    NodeSpec: str | None = None
    Num: int | None = None


class SessionConfigPart(Part):
    """Sticky sessions (web functions)."""

    SessionSource: str | None = None
    SessionName: str | None = None
    MaximumConcurrencySessionPerInstance: int | None = None
    MaximumTTLInSeconds: int | None = None
    MaximumIdleTimeInSeconds: int | None = None
    SessionPath: str | None = None
    IdleTimeoutStrategy: str | None = None


class InstanceConcurrencyConfigPart(Part):
    """Several requests per instance (web functions)."""

    DynamicEnabled: str | None = None
    MaxConcurrency: int | None = None
    InstanceIsolationEnabled: str | None = None
    Type: str | None = None
    MixNodeConfig: list[MixNodeConfigPart] | None = None
    SessionConfig: SessionConfigPart | None = None


class IntranetConfigInPart(Part):
    """Fixed private address: ``ENABLE`` or ``DISABLE``."""

    IpFixed: str


class LayerVersionSimplePart(Part):
    """A layer version by name and number."""

    LayerName: str
    LayerVersion: int


class WSParamsPart(Part):
    """WebSocket: idle seconds."""

    IdleTimeOut: int | None = None


class ProtocolParamsPart(Part):
    """Parameters of a web function's protocol."""

    WSParams: WSParamsPart | None = None


class PublicNetConfigInPart(Part):
    """Access to the internet."""

    PublicNetStatus: str
    EipConfig: EipConfigInPart | None = None


class VpcConfigPart(Part):
    """A private network."""

    VpcId: str | None = None
    SubnetId: str | None = None


class CreateFunctionRequest(Request):
    """Create a function from a package."""

    FunctionName: str
    Code: CodePart
    Handler: str | None = None
    Description: str | None = None
    MemorySize: int | None = None
    Timeout: int | None = None
    Environment: EnvironmentPart | None = None
    Runtime: str | None = None
    VpcConfig: VpcConfigPart | None = None
    Namespace: str | None = None
    Role: str | None = None
    InstallDependency: str | None = None
    ClsLogsetId: str | None = None
    ClsTopicId: str | None = None
    Type: str | None = None
    CodeSource: str | None = None
    Layers: list[LayerVersionSimplePart] | None = None
    DeadLetterConfig: DeadLetterConfigPart | None = None
    PublicNetConfig: PublicNetConfigInPart | None = None
    CfsConfig: CfsConfigPart | None = None
    InitTimeout: int | None = None
    Tags: list[TagPart] | None = None
    AsyncRunEnable: str | None = None
    TraceEnable: str | None = None
    AutoDeployClsTopicIndex: str | None = None
    AutoCreateClsTopic: str | None = None
    ProtocolType: str | None = None
    ProtocolParams: ProtocolParamsPart | None = None
    InstanceConcurrencyConfig: InstanceConcurrencyConfigPart | None = None
    DnsCache: str | None = None
    IntranetConfig: IntranetConfigInPart | None = None


class GetFunctionRequest(Request):
    """Everything about one function or version. ``ShowCode`` is ``TRUE`` or ``FALSE``."""

    FunctionName: str | None = None
    Qualifier: str | None = None
    Namespace: str | None = None
    ShowCode: str | None = None


class ListFunctionsRequest(Request):
    """A page of a namespace's functions. ``Filters`` are ANDed, the values of one ORed."""

    Order: str | None = None
    Orderby: str | None = None
    Offset: int | None = None
    Limit: int | None = None
    SearchKey: str | None = None
    Namespace: str | None = None
    Description: str | None = None
    Filters: list[FilterPart] | None = None


class UpdateFunctionCodeRequest(Request):
    """Replace the code. Old clients put ``ZipFile`` here, newer ones in ``Code``."""

    FunctionName: str
    Handler: str | None = None
    CosBucketName: str | None = None
    CosObjectName: str | None = None
    ZipFile: ZipText | None = None
    Namespace: str | None = None
    CosBucketRegion: str | None = None
    InstallDependency: str | None = None
    EnvId: str | None = None
    Publish: str | None = None
    Code: CodePart | None = None
    CodeSource: str | None = None


class UpdateFunctionConfigurationRequest(Request):
    """Change what is given and keep the rest."""

    FunctionName: str
    Description: str | None = None
    MemorySize: int | None = None
    Timeout: int | None = None
    Runtime: str | None = None
    Environment: EnvironmentPart | None = None
    Namespace: str | None = None
    VpcConfig: VpcConfigPart | None = None
    Role: str | None = None
    InstallDependency: str | None = None
    ClsLogsetId: str | None = None
    ClsTopicId: str | None = None
    Publish: str | None = None
    L5Enable: str | None = None
    Layers: list[LayerVersionSimplePart] | None = None
    DeadLetterConfig: DeadLetterConfigPart | None = None
    PublicNetConfig: PublicNetConfigInPart | None = None
    CfsConfig: CfsConfigPart | None = None
    InitTimeout: int | None = None
    ProtocolParams: ProtocolParamsPart | None = None
    InstanceConcurrencyConfig: InstanceConcurrencyConfigPart | None = None
    DnsCache: str | None = None
    IntranetConfig: IntranetConfigInPart | None = None
    IgnoreSysLog: bool | None = None


class DeleteFunctionRequest(Request):
    """Delete a function, or with ``Qualifier`` one of its versions."""

    FunctionName: str
    Namespace: str | None = None
    Qualifier: str | None = None


class CopyFunctionRequest(Request):
    """Copy a function within or between namespaces and regions."""

    FunctionName: str
    NewFunctionName: str
    Namespace: str | None = None
    TargetNamespace: str | None = None
    Description: str | None = None
    TargetRegion: str | None = None
    Override: bool | None = None
    CopyConfiguration: bool | None = None


class GetFunctionAddressRequest(Request):
    """Where the code of a version can be downloaded."""

    FunctionName: str
    Qualifier: str | None = None
    Namespace: str | None = None
