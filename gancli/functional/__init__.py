"""Pure functions of tensors: losses, penalties, augmentation, pixels."""
