"""A server on this machine for trying out what TensorFlow Serving answers, without Docker."""

import os
import threading
from pathlib import Path
from types import TracebackType

from tfgen.core.checks import check_positive, expected
from tfgen.serving import grpc_service
from tfgen.serving.batching import Batching
from tfgen.serving.rest import RestServer
from tfgen.serving.served_model import Poller, ServedModel


class LocalServer:
    """Serves a model over REST and gRPC as TensorFlow Serving does, from threads of this process.

    It is for trying out: it answers the same requests alike, and is neither fast nor hardened.

    Args:
        name: by which requests ask for the model.
        path: the base path; its largest version is served.
        host: the name or address to listen at.
        rest_port: for REST; 0 is any free one.
        grpc_port: for gRPC, which is not spoken if it is None; 0 is any free one.
        batching: how requests are joined; `Batching()` unless given.
        poll_seconds: after how long to look for a newer version; never unless given.

    Attributes:
        rest_port, grpc_port: the ports that it listens at.

    Raises:
        OSError: when it cannot listen there.
        TypeError, ValueError: when there is no version that can be loaded, or an argument is wrong.

    Example:
        with LocalServer("glann", "runs/glann_digits/serving") as server:
            print(f"http://localhost:{server.rest_port}/v1/models/glann")
    """

    def __init__(
        self,
        name: str,
        path: str | os.PathLike,
        *,
        host: str = "localhost",
        rest_port: int = 0,
        grpc_port: int | None = 0,
        batching: Batching | None = None,
        poll_seconds: float | None = None,
    ) -> None:
        if poll_seconds is not None:
            check_positive("poll_seconds", poll_seconds)
        self.model = ServedModel(name, Path(path), batching or Batching())
        self._grpc = self._poller = None
        try:
            self._rest = RestServer((host, rest_port), self.model)
        except (OSError, OverflowError) as error:
            raise OSError(
                expected("a free port for REST", f"{host}:{rest_port}: {error}")
            ) from error
        self.rest_port = self._rest.server_port
        self.grpc_port = grpc_port
        if grpc_port is not None:
            try:
                self._grpc, self.grpc_port = grpc_service.start(self.model, f"{host}:{grpc_port}")
            except BaseException:
                self._rest.server_close()
                raise
        self._thread = threading.Thread(target=self._rest.serve_forever, daemon=True)
        self._thread.start()
        if poll_seconds is not None:
            self._poller = Poller(self.model, poll_seconds)

    def close(self) -> None:
        """Ends what is begun, and answers no more."""
        if self._poller:
            self._poller.close()
        if self._grpc:
            self._grpc.stop(grace=1.0).wait()
        self._rest.shutdown()
        self._rest.server_close()
        self._thread.join()

    def __enter__(self) -> "LocalServer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def serve(
    name: str,
    path: str | os.PathLike,
    *,
    host: str = "localhost",
    rest_port: int = 8501,
    grpc_port: int | None = 8500,
    batching: Batching | None = None,
    poll_seconds: float | None = None,
) -> None:
    """Serves a model until it is interrupted, and prints where.

    Args:
        name, path, host, rest_port, grpc_port, batching, poll_seconds: as of a `LocalServer`.

    Raises:
        OSError, TypeError, ValueError: as a `LocalServer` does.
    """
    with LocalServer(
        name,
        path,
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        batching=batching,
        poll_seconds=poll_seconds,
    ) as server:
        signatures = ", ".join(sorted(server.model.signatures(name)))
        print(f"{name}, version {server.model.version}, with the signatures {signatures}")
        print(f"REST: http://{host}:{server.rest_port}/v1/models/{name}:predict")
        if grpc_port is not None:
            print(f"gRPC: {host}:{server.grpc_port}")
        print(
            "This server is for trying out; TensorFlow Serving is for use. Ctrl-C ends it.",
            flush=True,
        )
        try:
            _wait()
        except KeyboardInterrupt:
            print("Ended.")


def _wait() -> None:
    """Waits until it is interrupted."""
    threading.Event().wait()
