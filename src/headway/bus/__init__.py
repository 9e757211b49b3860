"""How the roles, executors and agents talk: typed messages in sequenced streams over an MQTT broker."""
