"""Categories and divisions of the Vienna Classification of figurative elements, in words of our own.

The numbers are the Classification's (WIPO, Vienna Agreement of 1973); the titles are short and the keywords are what
a mark of the division may show. Sections below the divisions are left out: they are the examiner's to choose.
"""

from __future__ import annotations

CATEGORIES: dict[int, str] = {
    1: "Celestial bodies, natural phenomena, maps",
    2: "Human beings",
    3: "Animals",
    4: "Supernatural or fabulous beings",
    5: "Plants",
    6: "Landscapes",
    7: "Buildings, structures, barriers",
    8: "Foodstuffs",
    9: "Textiles, clothing, headwear, footwear",
    10: "Tobacco, travel goods, toilet articles",
    11: "Household utensils",
    12: "Furniture, sanitary installations",
    13: "Lighting, heating, cooking, cooling",
    14: "Ironmongery, tools, ladders",
    15: "Machinery, engines, electrical equipment",
    16: "Telecommunications, computers, photography, optics",
    17: "Clocks, jewellery, weights and measures",
    18: "Transport, equipment for animals",
    19: "Containers, packing, medical apparatus",
    20: "Writing and drawing materials, papers, books",
    21: "Games, toys, sporting articles",
    22: "Musical instruments, bells, works of art",
    23: "Arms, ammunition, armour",
    24: "Heraldry, coins, emblems, symbols",
    25: "Ornaments and ornamented grounds",
    26: "Geometrical figures and solids",
    27: "Forms of writing, numerals",
    28: "Inscriptions in various scripts",
    29: "Colours",
}

_DIVISIONS = """
1.1  Stars, comets | star; comet; shooting star; pentagram; sparkles; starfish shape
1.3  Sun | sun; sunrise; sunset; sunshine; sun rays
1.5  Earth, globes, planets | globe; earth; planet; saturn; world; jupiter; world globe
1.7  Moon | moon; crescent moon; full moon; eclipse; night
1.11 Constellations, starry sky | constellation; galaxy; starry sky; milky way; zodiac sign; universe
1.13 Spheres, planetary and atomic models | atom; molecule; orbit; armillary sphere; solar system; dna
1.15 Natural phenomena | cloud; rain; rainbow; lightning; snowflake; flame; fire; tornado; thunderstorm; snow; wind;
     water drop; fog
1.17 Maps | map; world map; continent; country map; map of a region
2.1  Men | man; businessman; gentleman; soldier; chef; farmer; worker; king; boy's father; bearded man; cowboy;
     policeman
2.3  Women | woman; lady; queen; dancer; nurse; bride; princess; girl with long hair; pregnant woman
2.5  Children | child; baby; boy; girl; toddler; infant
2.7  Groups of people, scenes | family; couple; crowd; group of people; people; team; users; people playing together
2.9  Parts of the human body | hand; eye; ear; mouth; lips; nose; foot; face; heart organ; brain; tooth; skull;
     skeleton; finger; fist; footprint; handshake; thumbs up; smiley face; lungs; bone
3.1  Lions, cats, dogs, bears and the like | lion; tiger; cat; dog; wolf; fox; bear; panther; leopard; panda; puppy;
     kitten; polar bear; raccoon; paw print
3.2  Elephants, giraffes, camels and the like | elephant; hippopotamus; rhinoceros; giraffe; camel; llama; mammoth
3.3  Horses, donkeys, zebras | horse; donkey; zebra; pony; horse head; mule
3.4  Cattle, sheep, goats, deer, pigs | cow; bull; sheep; goat; deer; pig; ram; ox; bison; moose; boar; reindeer;
     lamb; buffalo
3.5  Rodents, apes, kangaroos and the like | mouse animal; rat; rabbit; squirrel; monkey; gorilla; kangaroo; hamster;
     beaver; hedgehog; koala; sloth; otter; chipmunk; skunk; badger
3.6  Parts and skeletons of quadrupeds | animal horns; antlers; animal skull; claw; animal bone; hoof; tail
3.7  Birds, bats | bird; eagle; owl; duck; chicken; rooster; penguin; dove; swan; parrot; bat animal; peacock;
     flamingo; turkey; hen; crow; goose; wing; feather
3.9  Aquatic animals | fish; whale; dolphin; shark; crab; octopus; lobster; shrimp; seal animal; squid; jellyfish;
     seashell; oyster; seahorse; tropical fish
3.11 Reptiles, amphibians, snails | snake; turtle; crocodile; lizard; frog; snail; dinosaur; gecko; chameleon; t-rex;
     sauropod
3.13 Insects, spiders, micro-organisms | bee; butterfly; ant; spider; ladybug; bug; beetle; mosquito; scorpion; fly
     insect; dragonfly; bacteria; virus; caterpillar; worm; spider web; cricket insect
3.17 Groups of different animals | animals together; farm animals; pets
4.1  Winged or horned personages | angel; devil; cupid; demon; fairy; imp
4.2  Half human, half animal | mermaid; centaur; sphinx; werewolf; minotaur; vampire
4.3  Fabulous animals | dragon; unicorn; phoenix; griffin; pegasus; sea monster
4.5  Masks, personified things, fantastic heads | robot; alien; ghost; snowman; clown; mask; monster; goblin; zombie;
     jack-o-lantern; theatre mask; wizard; genie; ogre
5.1  Trees, bushes | tree; palm tree; pine tree; evergreen tree; christmas tree; bush; oak; deciduous tree; forest;
     bamboo
5.3  Leaves, needles, branches | leaf; maple leaf; branch; clover; four leaf clover; fern; herb; fallen leaf; cannabis
     leaf
5.5  Flowers | flower; rose; tulip; sunflower; lotus; cherry blossom; bouquet; daisy; hibiscus; lily
5.7  Grains, seeds, fruits | apple; banana; cherry; grapes; strawberry; orange fruit; lemon; pear; pineapple;
     watermelon; peach; wheat; corn; nut; chestnut; acorn; seed; coconut; kiwi; mango; olive; avocado; peanut; rice
     plant; berries; tomato; melon; coffee bean
5.9  Vegetables | carrot; pepper; onion; garlic; potato; broccoli; eggplant; cucumber; cabbage; pumpkin; beans; pea
     pod; lettuce; leafy vegetable; chili
5.11 Other plants | cactus; mushroom; plant; seedling; seaweed; moss; potted plant; sprout; aloe; grass
5.13 Wreaths and garlands | laurel wreath; garland; wreath; plant ornament; crown of leaves
6.1  Mountains, rocks, caves | mountain; volcano; rock; hill; cave; snow-capped mountain; stone
6.3  Landscapes with water | waves; sea; river; lake; waterfall; beach; island; ocean; swimming water; shore
6.6  Deserts, tropical landscapes | desert; oasis; desert island with palms; dunes
6.7  City and village scenes | city; cityscape; skyline; street; village; town; night with stars over buildings;
     houses
6.19 Other landscapes | national park; field; landscape; meadow; garden; campsite; farm
7.1  Dwellings, buildings | house; building; castle; church; skyscraper; hospital; factory; school; tent; mosque;
     barn; hotel; store; bank; warehouse; lighthouse; temple; hut; cabin; igloo; windmill; tower; synagogue; office;
     courthouse
7.3  Parts of buildings | door; window; stairs; chimney; roof; column; balcony; brick; escalator; elevator
7.5  Monuments, stadiums, fountains | monument; fountain; stadium; statue of liberty; arch; pyramid; obelisk; eiffel
     tower; moai; grave; tombstone
7.11 Bridges and other works | bridge; dam; tunnel; railway track; road; oil rig; power tower
7.15 Walls, gates, barriers, fences | fence; wall; gate; barrier; barricade; bricks; construction barrier; turnstile;
     scaffolding
8.1  Bread, pastry, sweets | bread; cake; cookie; croissant; candy; chocolate; donut; cupcake; ice cream; lollipop;
     pretzel; pie; waffle; pancakes; birthday cake; bagel; popsicle; baguette; honey; popcorn
8.3  Milk, cheese | cheese; milk; butter; yoghurt
8.5  Meat and fish as food | meat; steak; sausage; bacon; ham; drumstick; poultry leg; chicken leg; meat on bone;
     salami
8.7  Other foodstuffs | pizza; hamburger; hot dog; sandwich; taco; burrito; egg; fried egg; noodles; spaghetti; soup;
     rice; salad; sushi; french fries; fondue; dumpling; bento; salt; stew
9.1  Textiles, ropes | fabric; towel; rope; carpet; blanket; curtain; knot; flag cloth; net
9.3  Clothing | shirt; t-shirt; dress; trousers; jeans; coat; socks; gloves; tie; bikini; jacket; kimono; scarf; vest;
     shorts; bra; underwear; bow tie; belt; hoodie; lab coat; apron
9.5  Sewing accessories | needle; thread; button of clothes; yarn; zipper; safety pin; spool; sewing
9.7  Headwear | hat; cap; helmet; top hat; crown hat; turban; graduation cap; cowboy hat; beret; bonnet; hard hat;
     military helmet
9.9  Footwear | shoe; boot; sneaker; high heel; sandal; slipper; running shoe; flip flop; ballet shoes; hiking boot
10.1 Tobacco, matches | cigarette; cigar; pipe for smoking; lighter; match; ashtray; smoking; no smoking; vape
10.3 Bags, travel goods, umbrellas | suitcase; briefcase; handbag; backpack; umbrella; luggage; wallet; purse; fan
     folding; shopping bag; walking stick; pouch; cane
10.5 Toilet articles | comb; razor; lipstick; toothbrush; mirror; hair dryer; perfume; nail polish; soap; sponge;
     lotion bottle; shaving brush; deodorant; hairbrush
11.1 Cutlery, kitchen utensils | fork; knife; spoon; cutlery; fork and knife; chopsticks; whisk; corkscrew; spatula;
     rolling pin; kitchen knife; grater; ladle; blender
11.3 Cups, glasses, plates, pots | cup; coffee; coffee cup; tea; teapot; mug; glass; wine glass; beer mug; cocktail;
     plate; bowl; cooking pot; frying pan; kettle; martini; champagne; hot beverage; tumbler; coffee pot; jug; dish
11.7 Cleaning utensils | broom; bucket; mop; vacuum cleaner; brush for cleaning; dustpan; plunger; duster; iron for
     clothes
12.1 Furniture | chair; table; bed; sofa; couch; lamp table; desk; armchair; bench; wardrobe; shelf; drawer; cabinet;
     stool; crib; coat hanger
12.3 Sanitary installations | toilet; bathtub; shower; faucet; sink; bath; washbasin; water tap; urinal
13.1 Lighting | light bulb; lamp; candle; lantern; torch; flashlight; chandelier; street lamp; lightbulb; traffic
     light; headlight; ceiling light
13.3 Heating, cooking, cooling, washing machines | oven; stove; refrigerator; microwave; washing machine; fireplace;
     heater; air conditioner; radiator; barbecue grill; toaster; fan; campfire; dishwasher; fridge; thermostat
14.1 Pipes, chains, heavy ironmongery | pipe; chain; link; cable; hook; girder; valve
14.3 Nails, screws, springs | nail; screw; bolt; nut and bolt; spring coil; pin; thumbtack; hinge; paper clip
14.5 Keys, locks | key; lock; padlock; keyhole; unlocked; locked with key; old key
14.7 Tools | hammer; wrench; screwdriver; saw; axe; pliers; drill; toolbox; tools; chisel; scissors; anvil; crowbar;
     mallet; hammer and wrench; spray can; paint roller
14.9 Garden and farm tools | shovel; rake; pickaxe; pitchfork; scythe; sickle; hoe; watering can; wheelbarrow; trowel;
     spade tool; pruning shears
14.11 Ladders | ladder; step ladder
15.1 Machines, engines | engine; motor; crane; excavator; machine; industrial robot; robot arm; conveyor; turbine;
     wind turbine; piston; water pump; bulldozer
15.3 Household and sewing machines | sewing machine; spinning wheel; loom
15.5 Office machines | typewriter; printer; calculator; cash register; copier; fax machine; shredder; abacus
15.7 Wheels, gears, bearings | gear; cogwheel; wheel; cog; tire; propeller; ship's wheel; steering wheel; ball
     bearing; cogs; settings gear
15.9 Electrical equipment | plug; battery; electric plug; socket; circuit; antenna; magnet; switch; electric outlet;
     transistor; resistor; chip; microchip; charging; solar panel; cpu
16.1 Telecommunication, sound, computers | telephone; phone; mobile phone; computer; laptop; radio; television;
     microphone; headphones; loudspeaker; satellite dish; keyboard; monitor; tablet computer; computer mouse;
     joystick; floppy disk; speaker; walkie talkie; compact disc; smartphone; megaphone; cassette; router; server; usb
     drive; hard disk; game controller
16.3 Photography, cinema, optics | camera; film; movie camera; binoculars; telescope; microscope; glasses; magnifying
     glass; sunglasses; projector; video camera; photo; lens; film strip; clapper board; spectacles; polaroid
17.1 Clocks, watches | clock; watch; hourglass; alarm clock; stopwatch; timer; sundial; mantelpiece clock; wristwatch
17.2 Jewellery | diamond; ring; necklace; gem; earring; pearl; bracelet; jewel; gemstone; engagement ring; prayer
     beads
17.3 Scales | scales; balance scale; weighing scale; kitchen scale; weight; justice scale
17.5 Measuring instruments | ruler; compass; thermometer; tape measure; protractor; speedometer; gauge; set square;
     dividers; caliper; barometer; triangular ruler
18.1 Land vehicles | car; truck; bus; train; bicycle; motorcycle; tractor; van; taxi; ambulance; tram; locomotive;
     scooter; fire engine; racing car; wheelchair; skateboard; cart; stroller; metro; tank vehicle; automobile; sled;
     caravan; bike; carriage; shopping cart; cable car
18.2 Equipment for animals | horseshoe; saddle; dog collar; leash; bird cage; beehive; dog house; kennel; fish tank;
     harness
18.3 Ships, boats | ship; boat; sailboat; ferry; canoe; yacht; submarine; kayak; rowing boat; motorboat; cruise ship;
     gondola
18.4 Anchors, buoys | anchor; life buoy; buoy; lifebuoy; ring buoy; oar; paddle
18.5 Aircraft, spacecraft | airplane; helicopter; rocket; balloon; hot air balloon; space shuttle; satellite;
     parachute; drone; flying saucer; plane; jet; glider; airship; kite
18.7 Traffic signs | stop sign; road sign; traffic cone; signpost; no entry; traffic sign; parking sign; bus stop;
     crossing sign; milestone; warning sign; direction sign
19.1 Large containers | barrel; basket; crate; box; trash can; tank container; shipping container; dustbin; chest;
     wooden box; oil drum; treasure chest; waste bin; silo; container; package
19.3 Small containers | tin can; jar; envelope; packet; tube; gift box; mailbox; letter; mail; wrapped gift; piggy
     bank; canned food; carton; inbox; spray bottle; envelope with letter
19.7 Bottles | bottle; wine bottle; baby bottle; flask; milk bottle; champagne bottle; sake bottle; bottle of beer;
     water bottle; bottle with popping cork
19.8 Corks, caps of bottles | cork; bottle cap; stopper; lid
19.9 Vases, urns | vase; amphora; urn; funeral urn; flower pot; pottery
19.11 Laboratory containers | test tube; beaker; erlenmeyer flask; petri dish; retort; laboratory flask; alembic
19.13 Medical apparatus, medicines | syringe; pill; stethoscope; bandage; medicine; crutch; first aid kit; injection;
     capsule; hospital bed; tooth implant; blood bag; inhaler; medical mask; prescription; tablets; x-ray; hearing
     aid; adhesive plaster; face mask
19.19 Other products | coffin; cage; trap; mouse trap; fire extinguisher; fire hydrant; fishing net
20.1 Writing and drawing materials | pencil; pen; brush; crayon; paint palette; eraser; ink; fountain pen; stapler;
     paintbrush; marker; highlighter; chalk; pushpin; blackboard; quill; stamp pad; easel; glue
20.5 Papers, documents | document; paper; file; scroll; newspaper page; clipboard; calendar; letter paper; receipt;
     certificate; notepad; card; folder; ticket; passport; label; tag; poster; bookmark; identity card; page;
     contract; invoice; banknote; sticky note
20.7 Books, newspapers | book; open book; books; newspaper; notebook; magazine; bible; library; dictionary; comic;
     address book; ledger
21.1 Games, toys | dice; chess; playing card; puzzle; teddy bear; doll; balloon toy; kite toy; chess pawn; chess
     knight; domino; board game; toy; spinning top; mahjong; rocking horse; lego; slot machine; nesting dolls; joker;
     pinata; yo-yo; jigsaw; spade suit; club suit; diamond suit; party popper; target dartboard; water pistol
21.3 Sporting articles, fairground | ball; football; basketball; tennis; golf; baseball; skis; bowling; boxing glove;
     dumbbell; hockey; ferris wheel; carousel; volleyball; rugby; badminton; snowboard; fishing rod; roller coaster;
     skates; billiards; table tennis; playground; slide; surfboard; dart; barbell; soccer ball; swimming; trampoline;
     swing; cricket bat; archery
22.1 Musical instruments | guitar; piano; violin; drum; trumpet; saxophone; flute; accordion; harp; banjo; xylophone;
     maracas; tambourine; musical keyboard; trombone; lyre; horn instrument; harmonica
22.3 Bells | bell; church bell; doorbell; hand bell; bellhop bell; notification bell; jingle bell
22.5 Pictures, sculptures | picture frame; painting; sculpture; statue; framed picture; bust; totem; art gallery; mona
     lisa
23.1 Swords and other weapons | sword; dagger; bow and arrow; spear; crossed swords; knife weapon; trident; boomerang;
     mace; battle axe; whip; katana; slingshot; crossbow; club weapon; halberd; shuriken
23.3 Firearms, explosives | gun; pistol; bomb; cannon; grenade; bullet; rifle; dynamite; missile; firecracker;
     revolver; torpedo; explosion; mine; ammunition; firework; shotgun
23.5 Armour | armour; knight helmet; breastplate; chain mail; gauntlet; visor helmet; armored boots
24.1 Shields | shield; coat of arms; heraldic shield; security shield; escutcheon; shield with check
24.3 Seals, stamps | seal; stamp; wax seal; postmark; rubber stamp; certified seal; rosette
24.5 Medals, coins | medal; coin; trophy; award; gold coin; cup trophy; money coin; order decoration; first place
     medal; coins; ribbon award
24.7 Flags | flag; banner; pennant; white flag; flag pole; checkered flag; pirate flag; triangular flag; crossed flags
24.9 Crowns | crown; tiara; diadem; royal crown; queen's crown; king's crown
24.11 Emblems, insignia | caduceus; sceptre; magic wand; fleur-de-lis; hammer and sickle; winged wheel; rod of
     asclepius; trident emblem; torch emblem
24.13 Crosses | cross; christian cross; maltese cross; latin cross; red cross; medical cross; plus cross; crucifix;
     orthodox cross; celtic cross; ankh
24.15 Arrows | arrow; arrow right; arrow left; arrow up; arrow down; recycling arrows; circular arrows; cursor arrow;
     chevron; refresh arrows; double arrow; turn arrow
24.17 Signs, notations, symbols | musical note; heart; dollar sign; question mark; percent; infinity; peace symbol;
     yin yang; male sign; female sign; exclamation mark; check mark; plus sign; recycling symbol; hashtag; at sign;
     treble clef; euro sign; star of david; om; copyright; radioactive sign; biohazard; currency sign; ampersand;
     asterisk; star and crescent; menorah; zodiac; equals sign; minus sign; wifi signal
25.1 Ornaments, frames, labels | ornament; frame; decorative frame; label frame; scrollwork; rosette ornament;
     cartouche; flourish
25.3 Bands, ribbons | ribbon; bow ribbon; band; banner ribbon; streamer
25.5 Divided grounds | background divided in two; stripes of two colours; split background; quartered field
25.7 Repeated patterns | checkerboard; dots pattern; grid pattern; stripes; repeated pattern; lattice; tiles; polka
     dots; mesh
26.1 Circles, ellipses | circle; ring shape; ellipse; oval; disc; concentric circles; dot; donut shape; round
26.2 Segments of circles | semicircle; arc; half circle; sector; pie slice; quarter circle
26.3 Triangles, angles | triangle; angle; pyramid shape; right triangle; inverted triangle
26.4 Quadrilaterals | square; rectangle; rhombus; parallelogram; trapezoid; rounded square; large diamond shape;
     quadrilateral
26.5 Other polygons | hexagon; pentagon; octagon; polygon; heptagon
26.7 Several figures together | shapes; overlapping circles; circle and square; intersecting shapes; geometric
     figures; venn diagram
26.11 Lines, bands | line; lines; zigzag; wavy line; spiral; curve; parallel lines; crossed lines; stripes; dash;
     horizontal bars; squiggle
26.13 Other figures | abstract shape; blob; irregular figure; swirl; abstract design; whirl; loop
26.15 Solids | cube; sphere; cylinder; cone; prism; pyramid solid; three-dimensional box; torus; polyhedron
27.1 Writing that forms a figure | text in a circle; word in perspective; letters forming a shape; curved text
27.3 Letters that represent things | letter shaped like an animal; letter as an object; letter as a person
27.5 Special forms of letters | letter; letter a; alphabet; monogram; capital letter; initials; abc; bold letter;
     text; italic letter; typography; font
27.7 Special forms of numerals | number; numeral; digit; number one; number seven; one two three four; keycap number
28.1 Arabic script | arabic letters; arabic inscription
28.3 Chinese, Japanese characters | chinese character; japanese character; kanji; ideograph; hiragana
28.5 Cyrillic script | cyrillic letters; russian inscription
28.7 Greek script | greek letter; alpha; omega; sigma; pi; lambda
28.9 Hebrew script | hebrew letters; hebrew inscription
28.11 Other scripts | runes; hieroglyphs; devanagari; thai letters; braille
29.1 Colours | colour; colours; rainbow colours; colour palette; gradient; colour swatch
"""


def _read(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    found = {}
    for line in text.strip().replace("\n     ", " ").splitlines():
        head, _, words = line.partition("|")
        code, _, title = head.strip().partition(" ")
        found[code] = (title.strip(), tuple(word.strip() for word in words.split(";")))
    return found


DIVISIONS: dict[str, tuple[str, tuple[str, ...]]] = _read(_DIVISIONS)
"""Division ("3.1") -> its title and the keywords that it is known by."""
