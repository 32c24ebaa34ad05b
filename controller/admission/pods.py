"""Where images live in each kind of object.

Every kind that leads to pods holds a pod template: an object with `metadata` and `spec`, as a Pod itself is. One table
says where it stands; below it the places are the same for all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from controller.admission.review import GroupKind, Operation, Review, shown_kind
from controller.admission.subject import Subject, Workload
from controller.errors import Code, Invalid, Refused
from controller.settings import ImagePath, Limits

BUILT_IN: Final[Mapping[GroupKind, str]] = {
    ("", "Pod"): "",
    ("", "PodTemplate"): "/template",
    ("", "ReplicationController"): "/spec/template",
    ("apps", "Deployment"): "/spec/template",
    ("apps", "ReplicaSet"): "/spec/template",
    ("apps", "StatefulSet"): "/spec/template",
    ("apps", "DaemonSet"): "/spec/template",
    ("batch", "Job"): "/spec/template",
    ("batch", "CronJob"): "/spec/jobTemplate/spec/template",
}
"""JSON pointer to the pod template, by API group and kind, whatever the version."""

CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
"""Lists of a pod spec whose items name an image. Volumes are the fourth place: `volumes[].image.reference`."""

_WITHOUT_IMAGES: Final = frozenset(
    {("autoscaling", "Scale"), ("extensions", "Scale"), ("", "Binding"), ("policy", "Eviction")}
)
"""What subresources of the kinds above carry beside the kind itself: a number, a node's name, a way to delete."""


class ImageTable:
    """Finds the images of an object; settings add custom kinds with `imagePaths`."""

    def __init__(self, paths: Sequence[ImagePath], limits: Limits) -> None:
        """Make the table.

        Raises:
            Invalid: `InvalidSettings` where a pointer is none, or a path names a kind that is built in.
        """
        self._limit = limits.images_per_object
        self._templates = {kind: (pointer, _tokens(pointer)) for kind, pointer in BUILT_IN.items()}
        for path in paths:
            kind = (path.group, path.kind)
            if kind in self._templates:
                raise Invalid(Code.INVALID_SETTINGS, f"{shown_kind(kind)} is known already", field="imagePaths")
            if not path.template.startswith("/"):
                raise Invalid(
                    Code.INVALID_SETTINGS,
                    "not a JSON pointer",
                    field="imagePaths.template",
                    expected="/…",
                    found=path.template,
                )
            self._templates[kind] = (path.template, _tokens(path.template))

    def to_judge(self, review: Review) -> tuple[Subject, ...]:
        """The images that the request would newly let run (design, rule 9).

        On UPDATE an image string that the old object holds anywhere is left out: labels, finalizers and scaling down must
        stay possible whatever became of its signatures. Neither a deletion timestamp nor an annotation changes anything.
        Empty where nothing is to be judged: DELETE and CONNECT start no image, nor does a Scale, Binding or Eviction.

        Raises:
            Refused: `UnknownKind`; `LimitExceeded` where the object names too many images.
            Invalid: `InvalidManifest` naming the pointer at fault, or where the object names no image at all;
                `InvalidReview` where the namespace is missing.
        """
        if review.object is None:
            return ()
        if review.subresource and review.kind in _WITHOUT_IMAGES:
            return ()
        if not review.namespace and review.kind in BUILT_IN:
            raise Invalid(Code.INVALID_REVIEW, "is missing", field="request.namespace")
        if review.operation is not Operation.UPDATE or not isinstance(review.old_object, dict):
            return self.images(review.kind, review.object, review.namespace)
        _, tokens = self._template(review.kind)
        if _same(_pod_spec(review.object, tokens), _pod_spec(review.old_object, tokens)):
            return ()  # every image, readable or not, runs already
        running = self._running(review.kind, review.old_object)
        subjects = self.images(review.kind, review.object, review.namespace)
        return tuple(subject for subject in subjects if subject.image not in running)

    def images(self, kind: GroupKind, document: Mapping[str, Any], namespace: str) -> tuple[Subject, ...]:
        """Every image that `document`, an object of `kind`, names; at least one.

        Args:
            kind: Group and kind.
            document: The decoded object.
            namespace: Where it will live.

        Raises:
            Refused: `UnknownKind`; `LimitExceeded`.
            Invalid: `InvalidManifest`.
        """
        pointer, tokens = self._template(kind)
        template = _follow(document, tokens)
        metadata = _object(document, "metadata", "")
        spec = _object(template, "spec", pointer)
        labels = _labels(template, pointer)
        place = _namespace(metadata, namespace)
        workload = Workload(place, labels, kind[1], _name(metadata), _pull_secrets(spec), _service_account(spec))
        subjects: list[Subject] = []
        for image, where, container in _images(spec, f"{pointer}/spec"):
            if len(subjects) >= self._limit:
                raise Refused(
                    Code.LIMIT_EXCEEDED, f"{shown_kind(kind)} names too many images", expected=f"at most {self._limit}"
                )
            subjects.append(Subject(image, where, workload, container))
        if not subjects:
            raise _invalid(f"{pointer}/spec/containers", "names no image")
        return tuple(subjects)

    def _template(self, kind: GroupKind) -> tuple[str, tuple[str, ...]]:
        found = self._templates.get(kind)
        if found is None:  # whoever routed it here expects it to be judged
            raise Refused(
                Code.UNKNOWN_KIND,
                f"where {shown_kind(kind)} keeps its images is not known; name its pod template in the setting imagePaths,"
                " or do not send this kind here",
            )
        return found

    def _running(self, kind: GroupKind, old: Mapping[str, Any]) -> frozenset[str]:
        """The images of the old object; none where it cannot be read, so that everything is judged."""
        try:
            return frozenset(subject.image for subject in self.images(kind, old, ""))
        except (Invalid, Refused):
            return frozenset()


def _images(spec: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str, str]]:
    """Image, JSON pointer and container name; the API server refuses an absent image in these places too."""
    for place in CONTAINERS:
        for index, item in enumerate(_list(spec, place, pointer)):
            where = f"{pointer}/{place}/{index}"
            container = _mapping(item, where)
            yield _image(container, "image", where), f"{where}/image", _container_name(container, where)
    for index, item in enumerate(_list(spec, "volumes", pointer)):
        where = f"{pointer}/volumes/{index}"
        source = _mapping(item, where).get("image")
        if source is not None:
            yield (
                _image(_mapping(source, f"{where}/image"), "reference", f"{where}/image"),
                f"{where}/image/reference",
                "",
            )


def _image(value: Mapping[str, Any], name: str, where: str) -> str:
    """The image text. An empty one is refused in a template too: whatever fills it in later is judged as a Pod."""
    found = value.get(name)
    if not isinstance(found, str) or not found:
        raise _invalid(f"{where}/{name}", "must name an image", found="nothing" if not found else type(found).__name__)
    return found


def _container_name(container: Mapping[str, Any], where: str) -> str:
    found = container.get("name")
    if found is None:
        return ""
    if not isinstance(found, str):
        raise _invalid(f"{where}/name", "must be a string", found=type(found).__name__)
    return found


def _follow(document: Mapping[str, Any], tokens: tuple[str, ...]) -> Mapping[str, Any]:
    """The pod template. One that is not there is refused: a wrong `imagePaths` must not hide every image."""
    value, pointer = document, ""
    for token in tokens:
        value, pointer = _object(value, token, pointer), f"{pointer}/{_escaped(token)}"
    return value


def _pod_spec(document: Any, tokens: tuple[str, ...]) -> Any:
    """What stands where the pod spec should, None for nothing."""
    for token in (*tokens, "spec"):
        document = document.get(token) if isinstance(document, dict) else None
    return document


def _same(new: Any, old: Any) -> bool:
    """Whether two JSON values are equal; not, where they are too deep to be compared."""
    try:
        return bool(new == old)
    except RecursionError:
        return False


def _object(value: Mapping[str, Any], name: str, pointer: str) -> Mapping[str, Any]:
    return _mapping(value.get(name), f"{pointer}/{_escaped(name)}")


def _mapping(value: Any, pointer: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(pointer, "must be an object", found="nothing" if value is None else type(value).__name__)
    return value


def _list(value: Mapping[str, Any], name: str, pointer: str) -> list[Any]:
    found = value.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise _invalid(f"{pointer}/{name}", "must be an array", found=type(found).__name__)
    return found


def _labels(template: Mapping[str, Any], pointer: str) -> Mapping[str, str]:
    """The labels the pods will have."""
    metadata = template.get("metadata")
    labels = None if metadata is None else _mapping(metadata, f"{pointer}/metadata").get("labels")
    if labels is None:
        return {}
    for value in _mapping(labels, f"{pointer}/metadata/labels").values():
        if not isinstance(value, str):
            raise _invalid(f"{pointer}/metadata/labels", "must hold strings", found=type(value).__name__)
    return _mapping(labels, pointer)


def _namespace(metadata: Mapping[str, Any], requested: str) -> str:
    """The namespace asked for, which the object may repeat but not contradict: policies are chosen by it."""
    own = metadata.get("namespace")
    if own and requested and own != requested:
        raise _invalid(
            "/metadata/namespace", "is another namespace than the request's", expected=requested, found=repr(own)[:80]
        )
    return requested or (own if isinstance(own, str) else "")


def _name(metadata: Mapping[str, Any]) -> str:
    """What the object is called, for people: not yet complete where the API server generates it."""
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if isinstance(name, str) and name:
        return name
    return f"{prefix}*" if isinstance(prefix, str) else ""


def _pull_secrets(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The names, as far as they are any: one that cannot be read only means a credential less."""
    items = spec.get("imagePullSecrets")
    names = (item.get("name") for item in items if isinstance(item, dict)) if isinstance(items, list) else ()
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name))


def _service_account(spec: Mapping[str, Any]) -> str:
    """As the API server reads it; `serviceAccount` is the old name."""
    found = spec.get("serviceAccountName") or spec.get("serviceAccount")
    return found if isinstance(found, str) and found else "default"


def _tokens(pointer: str) -> tuple[str, ...]:
    """The reference tokens of a JSON pointer (RFC 6901, section 4)."""
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def _escaped(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")


def _invalid(pointer: str, message: str, *, expected: str = "", found: str = "") -> Invalid:
    return Invalid(Code.INVALID_MANIFEST, message, field=pointer, expected=expected, found=found)
