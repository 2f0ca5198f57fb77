"""Link an instance to a phone, without Home Assistant."""
