"""A plain Airflow DAG file, read and written again as a workflow of Headway; it is never run, and Airflow is not needed."""
