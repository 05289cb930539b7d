"""From a verified stream accelerator to a file that configures a board."""
