"""The built-in components. Importing this package registers each of them in polis.runtime.component."""
