#!/bin/sh
# install.sh WHEELS OUT: put the wheels and the agent's two commands into the root OUT, and byte-compile all Python in it.
# Python starts slowly on small machines, so no source file is compiled on the box: byte code is checked against nothing
# (unchecked-hash), which also keeps times out of it, and lies where the sources would lie.
set -eu
wheels=$1 out=$2
site=$out/usr/lib/python3/dist-packages
mkdir -p "$site" "$out/usr/bin"

for wheel in "$wheels"/*.whl; do
	# A wheel is a ZIP. The toolbox has the same Python as the box (Debian 13), so its byte code fits.
	python3 -I -m zipfile -e "$wheel" "$site"
done

# What the agent never imports.
rm -rf "$site"/cffi "$site"/*.dist-info
for name in ensurepip idlelib lib2to3 pydoc_data test tkinter turtledemo unittest venv; do
	rm -rf "$out/usr/lib/python3.13/$name"
done

python3 -I -m compileall -q -b -f --invalidation-mode unchecked-hash \
	-s "$out" -p / "$site" "$out/usr/lib/python3.13"
find "$site" "$out/usr/lib/python3.13" -name '*.py' -delete
find "$out" -name __pycache__ -prune -exec rm -rf {} +

command() {
	printf '#!/usr/bin/python3.13 -I\nfrom toweros_agent.%s import main\nmain()\n' "$2" > "$out/usr/bin/$1"
	chmod 0755 "$out/usr/bin/$1"
}
command toweros-agent loop
command toweros-box box
