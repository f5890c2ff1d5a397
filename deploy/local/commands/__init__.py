"""What the commands of `liangbu` do."""
