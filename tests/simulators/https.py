"""A real Git server over https: nginx, fcgiwrap and git-http-backend on a free port of the loopback, for one test."""

import socket
import ssl
import subprocess
import time
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path
from typing import Self

USER, TOKEN = "controller", "t0ken-for-tests"
CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  log_format brief '$status $request';
  access_log {folder}/access.log brief;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    auth_basic "git";
    auth_basic_user_file {folder}/passwords;
    location / {{
      fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
      fastcgi_param GIT_PROJECT_ROOT {repositories};
      fastcgi_param GIT_HTTP_EXPORT_ALL "";
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param REMOTE_USER $remote_user;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
      {more}
      fastcgi_pass unix:{folder}/fcgi.sock;
    }}
  }}
}}
"""


class GitHttps:
    """Serves the bare repositories of a folder to whoever has the token."""

    def __init__(self, folder: Path, repositories: Path, *, version_2: bool = True) -> None:
        """`version_2`: whether the server hears that the client knows version 2 of Git's protocol."""
        folder.mkdir()
        self.folder, self.certificate = folder, folder / "cert.pem"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._processes: list[subprocess.Popen[bytes]] = []
        (folder / "nginx.conf").write_text(
            CONFIG.format(
                folder=folder,
                port=self.port,
                repositories=repositories.resolve(),
                more="" if version_2 else 'fastcgi_param HTTP_GIT_PROTOCOL "";',
            )
        )
        hashed = subprocess.run(["openssl", "passwd", "-apr1", TOKEN], capture_output=True, check=True).stdout.decode()
        (folder / "passwords").write_text(f"{USER}:{hashed}")
        subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", str(folder / "key.pem"), "-out", str(self.certificate)]
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
        subprocess.run(make, capture_output=True, check=True)

    def asked(self) -> list[str]:
        """The requests since the last call: status, method, path and protocol. nginx writes each after its answer; all
        that came before one of ours are written when that one is."""
        log, ours = self.folder / "access.log", "GET /was-that-all "
        with closing(HTTPSConnection("127.0.0.1", self.port, context=ssl._create_unverified_context())) as one:
            one.request("GET", ours.split()[1])
            one.getresponse().read()
        for _ in range(200):
            if ours in log.read_text():
                break
            time.sleep(0.02)
        lines = [line for line in log.read_text().splitlines() if ours not in line]
        log.write_text("")
        return lines

    def url(self, name: str) -> str:
        return f"https://{USER}@127.0.0.1:{self.port}/{name}"

    def __enter__(self) -> Self:
        safe = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        path = {"PATH": "/usr/sbin:/usr/bin:/bin"}
        for command, env in (
            (["fcgiwrap", "-s", f"unix:{self.folder}/fcgi.sock"], path | safe),
            (["nginx", "-c", f"{self.folder}/nginx.conf", "-p", str(self.folder)], path),
        ):
            self._processes.append(subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL))
        for _ in range(200):
            with socket.socket() as probe:
                if (self.folder / "fcgi.sock").exists() and probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        self.__exit__()
        raise AssertionError((self.folder / "error.log").read_text())

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(10)
