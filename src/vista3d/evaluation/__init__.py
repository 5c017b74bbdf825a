"""How good a model is: simulated users, metrics, the paper's protocols, reports.

case, scan           what is evaluated
metrics/             overlap, surfaces, volumes, intervals
simulated_clicks     where a careful user clicks
clean/               protocols as a user would live them
official/            the released scripts' rules, for published figures
protocols, settings  the table of experiments, and the choices of a run
case_run, case_file  one case; its result, which makes a run resumable
run                  all cases
summary, report/     figures with intervals; CSV, JSON and one HTML page
"""
