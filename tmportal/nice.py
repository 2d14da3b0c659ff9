"""Short titles of the 45 classes of the Nice Classification, as tooltips beside their numbers."""

_TITLES = """
Chemicals | Paints and varnishes | Cosmetics and cleaning | Oils, fuels and candles | Pharmaceuticals
Metal goods | Machines and motors | Hand tools | Computers and electronics | Medical devices
Lighting and heating | Vehicles | Firearms and fireworks | Jewellery and watches | Musical instruments
Paper and printed matter | Rubber and plastics | Leather goods and bags | Building materials | Furniture
Household utensils | Ropes, tents and sacks | Yarns and threads | Textiles | Clothing and footwear
Haberdashery | Carpets and wall coverings | Games and sports goods | Meat, fish and processed food | Coffee and bakery
Fresh produce and animals | Beers and soft drinks | Alcoholic drinks | Tobacco | Advertising and business
Insurance and finance | Construction and repair | Telecommunications | Transport and travel | Treatment of materials
Education and entertainment | Science and software | Restaurants and hotels | Medical and beauty care | Legal services
"""

FIRST_SERVICE = 35
TITLES = {
    number: title.strip()
    for number, title in enumerate((part for line in _TITLES.strip().splitlines() for part in line.split("|")), start=1)
}
"""Class number -> title. Classes 1 to 34 are goods, from 35 on services."""
