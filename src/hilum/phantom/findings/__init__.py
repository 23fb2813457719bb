"""The findings that can be drawn, a file for each family: opacities, pleura, masses, shape.

Unlike the extension folders, members are listed: findings of a family share their shapes, and
the set of findings is NIH's. A new one adds its functions to its family's file and a line here.
"""

from __future__ import annotations

from hilum.phantom.findings.base import Planter, unchanged
from hilum.phantom.findings.masses import plant_hernia, plant_mass, plant_nodule
from hilum.phantom.findings.opacities import (
    adapt_atelectasis,
    adapt_edema,
    plant_atelectasis,
    plant_consolidation,
    plant_edema,
    plant_infiltration,
    plant_pneumonia,
)
from hilum.phantom.findings.pleura import (
    plant_effusion,
    plant_pleural_thickening,
    plant_pneumothorax,
)
from hilum.phantom.findings.shape import (
    adapt_cardiomegaly,
    adapt_emphysema,
    adapt_fibrosis,
    plant_cardiomegaly,
    plant_emphysema,
    plant_fibrosis,
)

__all__ = ["PLANTERS"]

PLANTERS: dict[str, Planter] = {
    "Atelectasis": Planter(adapt_atelectasis, plant_atelectasis),
    "Cardiomegaly": Planter(adapt_cardiomegaly, plant_cardiomegaly),
    "Effusion": Planter(unchanged, plant_effusion),
    "Infiltration": Planter(unchanged, plant_infiltration),
    "Mass": Planter(unchanged, plant_mass),
    "Nodule": Planter(unchanged, plant_nodule),
    "Pneumonia": Planter(unchanged, plant_pneumonia),
    "Pneumothorax": Planter(unchanged, plant_pneumothorax),
    "Consolidation": Planter(unchanged, plant_consolidation),
    "Edema": Planter(adapt_edema, plant_edema),
    "Emphysema": Planter(adapt_emphysema, plant_emphysema),
    "Fibrosis": Planter(adapt_fibrosis, plant_fibrosis),
    "Pleural_Thickening": Planter(unchanged, plant_pleural_thickening),
    "Hernia": Planter(unchanged, plant_hernia),
}
"""NIH name of each finding to the functions that draw it."""
