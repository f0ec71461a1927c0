"""A configuration of contrib/nginx/ as somebody would put it up, with the addresses and folders of a story.

subprocess.Popen(nginx(tmp_path, "toweros-site.conf", {"listen 8080": f"listen 127.0.0.1:{port}"}))
"""

from collections.abc import Mapping
from pathlib import Path

from tests.kit.docs import CHECKOUT

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx(folder: Path, name: str, ours: Mapping[str, str]) -> list[str]:
    """The command that runs it in the foreground, and says what is wrong on stderr. `ours`: by what stands there."""
    text = (CHECKOUT / "contrib" / "nginx" / name).read_text()
    for theirs, here in ours.items():
        assert theirs in text
        text = text.replace(theirs, here)
    temporary = "".join(f"{kind}_temp_path {folder / kind};\n" for kind in TEMPORARY)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder / 'pid'}; error_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{text}\n}}\n"
    )
    return ["nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")]
