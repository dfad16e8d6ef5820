"""The live queue on Redis or Valkey Streams: machines pull a build's atoms from it."""
