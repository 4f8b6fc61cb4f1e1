"""The six field types, over two primitives: keyed and ordered."""
