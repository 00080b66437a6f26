"""From run folders to something to look at: the page, its figures, the plain table. Imports no torch.

write_report(folder)           report.html into the folder of a training or a comparison
summary_table(summary)         what the command line prints
preview_figure(...), save()    the mixed pictures, as PNG or SVG
"""

from crossfade.report.grids import mixed_grid, preview_figure
from crossfade.report.page import write_report
from crossfade.report.style import save
from crossfade.report.tables import summary_table

__all__ = ["mixed_grid", "preview_figure", "save", "summary_table", "write_report"]
