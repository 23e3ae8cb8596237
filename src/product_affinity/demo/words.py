"""Made-up names and sentences; any likeness to a real company or person is chance."""

from __future__ import annotations

COMPANY_FIRST = (
    "Alder", "Amber", "Anchor", "Aspen", "Beacon", "Birch", "Blue Heron", "Bramble", "Brightwater", "Cedar",
    "Clearfield", "Cobalt", "Copper", "Crestline", "Dovetail", "Eastgate", "Elmwood", "Fairhaven",
    "Fernhill", "Foxglove", "Granite", "Greenlane", "Harbour", "Hazel", "Highmoor", "Ironbridge", "Juniper",
    "Kestrel", "Lakeside", "Larkspur", "Lighthouse", "Linden", "Maplewood", "Meridian", "Millstone",
    "Northgate", "Oakhurst", "Orchard", "Pinecrest", "Quarry", "Redwood", "Ridgeway", "Riverbend", "Rowan",
    "Saltmarsh", "Silverlake", "Stonebridge", "Summit", "Thistle", "Tidewater", "Upland", "Valley",
    "Westbrook", "Whitecliff", "Willow", "Windmill", "Woodland", "Wren", "Yarrow", "Zephyr",
)  # fmt: skip
COMPANY_LAST = (
    "Analytics", "Apparel", "Bank", "Care", "Clinics", "Components", "Education", "Energy", "Foods",
    "Freight", "Games", "Group", "Health", "Holdings", "Industries", "Insurance", "Labs", "Learning",
    "Logistics", "Media", "Motors", "Networks", "Outfitters", "Partners", "Press", "Retail", "Robotics",
    "Schools", "Software", "Studios", "Supply", "Systems", "Textiles", "Tools", "Trading", "Travel",
    "Ventures", "Works",
)  # fmt: skip
COMPANY_FORMS = ("Ltd", "Inc", "GmbH", "AS", "BV", "& Co", "& Sons")
GIVEN_NAMES = (
    "Ada", "Amir", "Anna", "Ben", "Carla", "Chen", "Dana", "Elif", "Emil", "Eva", "Farid", "Grace", "Hana",
    "Ines", "Ivan", "Jonas", "Julia", "Kofi", "Lara", "Leo", "Lin", "Maria", "Mats", "Mina", "Nora", "Omar",
    "Paul", "Priya", "Rosa", "Sam", "Sofia", "Tariq", "Uma", "Vera", "Will", "Yuki",
)  # fmt: skip
FAMILY_NAMES = (
    "Abel", "Adler", "Bakker", "Berg", "Costa", "Dahl", "Diaz", "Evans", "Farah", "Fischer", "Garcia",
    "Hall", "Haddad", "Ito", "Jansen", "Kaya", "Keller", "Lind", "Lopez", "Mbeki", "Moreau", "Nakamura",
    "Novak", "Okafor", "Olsen", "Patel", "Quinn", "Rossi", "Sato", "Singh", "Tan", "Ueda", "Vogel", "Wang",
    "Young", "Zeller",
)  # fmt: skip
ROLES = (
    ("Head of Sales", "sales"), ("Sales Operations Manager", "sales"), ("Head of Marketing", "marketing"),
    ("Campaign Manager", "marketing"), ("Support Team Lead", "service"),
    ("Head of Customer Service", "service"), ("Data Analyst", "data"), ("Head of Data", "data"),
    ("IT Manager", "services"), ("Training Coordinator", "services"),
)  # fmt: skip
SENIORITIES = ("staff", "manager", "director", "executive")
PROBLEM_SOURCES = ("qbr", "ticket", "check_in")
STATEMENTS = (
    "Told us that {tag} costs the team hours every week.",
    "Asked how others deal with {tag}.",
    "{tag} came up again; they have tried a workaround by hand.",
    "Their manager named {tag} as the quarter's biggest obstacle.",
    "Complained about {tag} after the last release.",
)
LOST_REASONS = (
    "budget",
    "timing",
    "no need",
    "competitor",
    "chose another product of ours",
    "customer left",
)
NOT_NOW_REASONS = ("budget cycle", "no capacity to roll out", "team is changing", "come back next quarter")
