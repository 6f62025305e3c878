"""What happens when someone does something: functions whose ports are arguments."""
