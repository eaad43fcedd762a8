"""Published AVMIT files to hub package: what `avmit convert`, `info` and `demo` run."""
