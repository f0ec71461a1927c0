"""Keys that lie in a token (PKCS#11): the file that would hold the key names it, and keeps its public half.

uri        what may be said of a key (RFC 7512), and where its PIN is
session    a child process asks the token, with a deadline; a PIN that was refused is not tried again
child      that process
held       private keys of `cryptography` that sign in a token
reference  the file: `pkcs11:...`, and the public half
authenticode  Secure Boot signatures, as `sbsign` takes no such key

key = reference.found(uri.parse("pkcs11:token=fleet;object=db?module-path=/usr/lib/softhsm/libsofthsm2.so"))
key.sign(data, PKCS1v15(), SHA256())
"""
