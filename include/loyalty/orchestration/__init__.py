"""The only code that knows Airflow: when runs happen, and operators that hand a task's work to the services."""
