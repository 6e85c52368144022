"""Pictures from any folder or archive."""
