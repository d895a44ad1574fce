"""The words the dialogues are made of. All are our own lists; no text of others is used."""

FIRST_NAMES = """Ada Alan Alice Amara Amir Ana Andrei Anika Anton Aoife Astrid Aylin Beatriz Ben Bianca Boris Bruno Camille
Carla Carlos Cedric Chen Chidi Chloe Clara Dalia Daniel Daria David Diego Dilan Dora Edda Elena Elias Elif Emil Emma
Enzo Erik Esra Ethan Eva Fatima Felix Fiona Finn Florian Freya Gabriel Georg Gina Grace Greta Hana Hannah Harper Hassan
Hector Heidi Helga Henry Hugo Ida Igor Ines Ingrid Irina Isaac Isla Ivan Jack James Jana Jasmin Jonas Joao Jorge Julia
Kai Karin Karim Kenji Kira Klaus Lara Lars Laura Leila Leo Liam Lina Linh Lola Lotte Lucas Lucia Luna Magnus Malik Marco
Maria Marta Mateo Maya Mei Mia Milan Mina Mira Mohamed Nadia Naomi Nia Nikolai Nina Noah Nora Olga Oliver Omar Oscar Otto
Pablo Paula Pedro Petra Priya Quentin Rafael Raj Rania Rosa Ruben Ruth Sam Samira Sara Sven Sofia Stella Sunil Tara Tariq
Teresa Theo Thomas Tilda Tomas Uma Ursula Valentin Vera Victor Viola Wanda Willem Xavier Yara Yuki Yusuf Zara Zoe""".split()

LAST_NAMES = """Adler Almeida Andersson Baker Becker Bianchi Blom Carter Castillo Chopra Costa Cruz Dahl Delgado Dubois Eriksen
Evans Farkas Ferreira Fischer Fontaine Garcia Gruber Haddad Hansen Hughes Ibrahim Ito Jansen Keller Khan Kowalski Kumar
Larsen Lopez Marino Meyer Moreau Nakamura Nguyen Novak Okafor Olsen Park Patel Petrov Quinn Reyes Rossi Santos Schmidt
Silva Singh Smith Tanaka Taylor Turner Vargas Virtanen Wagner Walker Weber Wilson Yilmaz Zimmer""".split()

CITIES = """Accra, Adelaide, Amman, Amsterdam, Ankara, Antwerp, Athens, Auckland, Baku, Bangkok, Barcelona, Basel, Beirut,
Belfast, Bergen, Berlin, Bogota, Bologna, Bordeaux, Boston, Bremen, Brisbane, Bristol, Brno, Brussels, Bucharest, Budapest,
Buenos Aires, Cairo, Calgary, Cape Town, Cardiff, Casablanca, Chicago, Cologne, Copenhagen, Cork, Dakar, Dallas, Delhi,
Denver, Dresden, Dublin, Edinburgh, Florence, Frankfurt, Galway, Geneva, Genoa, Ghent, Glasgow, Graz, Hamburg, Hanoi,
Helsinki, Hong Kong, Houston, Istanbul, Jakarta, Kyiv, Kyoto, Lagos, Lahore, Leeds, Leipzig, Lima, Lisbon, Liverpool,
Ljubljana, London, Los Angeles, Lyon, Madrid, Malaga, Manchester, Manila, Marseille, Melbourne, Mexico City, Miami, Milan,
Minsk, Montreal, Mumbai, Munich, Nairobi, Naples, New York, Nice, Odense, Oslo, Ottawa, Oxford, Palermo, Paris, Perth,
Porto, Prague, Quebec, Quito, Riga, Rio de Janeiro, Rome, Rotterdam, Salzburg, San Diego, Santiago, Sarajevo, Seattle,
Seoul, Seville, Shanghai, Singapore, Sofia, Split, Stockholm, Sydney, Taipei, Tallinn, Tampere, Tbilisi, Tehran, Tokyo,
Toronto, Toulouse, Trieste, Tunis, Turin, Utrecht, Valencia, Vancouver, Venice, Vienna, Vilnius, Warsaw, Wroclaw, Zagreb,
Zurich"""

COUNTRIES = """Albania, Argentina, Australia, Austria, Belgium, Bolivia, Brazil, Bulgaria, Canada, Chile, China, Colombia,
Croatia, Cuba, Denmark, Egypt, Estonia, Finland, France, Georgia, Germany, Ghana, Greece, Hungary, Iceland, India, Iran,
Ireland, Italy, Jamaica, Japan, Jordan, Kenya, Korea, Latvia, Lebanon, Malta, Mexico, Morocco, Nepal, New Zealand, Nigeria,
Norway, Oman, Pakistan, Panama, Peru, Poland, Portugal, Romania, Scotland, Senegal, Serbia, Slovenia, Spain, Sri Lanka,
Sweden, Switzerland, Thailand, Tunisia, Turkey, Uganda, Uruguay, Vietnam, Wales"""

COLOURS = """red, blue, green, yellow, orange, purple, pink, black, white, grey, brown, teal, turquoise, violet, indigo, gold,
silver, crimson, scarlet, maroon, navy blue, olive, beige, ivory, lavender, magenta, cyan, mint, coral, amber, emerald green,
dark green, light blue, sky blue, mustard, burgundy, charcoal, peach, lilac, rust, copper, bronze, salmon, khaki, ochre"""

FOODS = """pizza, pasta, sushi, lasagna, ramen, tacos, curry, pancakes, waffles, paella, falafel, hummus, dumplings, risotto,
goulash, couscous, noodles, fish and chips, fried rice, tomato soup, onion soup, apple pie, cheesecake, chocolate, ice cream,
mango, strawberries, blueberries, bananas, cherries, figs, olives, avocado toast, mushrooms, spinach, potatoes, pumpkin,
lentils, beans, tofu, salmon, shrimp, roast chicken, meatballs, burgers, sandwiches, salad, omelette, croissants, bagels,
cinnamon rolls, brownies, muffins, popcorn, pretzels, kimchi, pho, pad thai, moussaka, ratatouille, quiche, crepes, tiramisu,
baklava, nachos, burritos, chili, porridge, walnuts, pistachios, honey, goat cheese, rye bread, raspberries, peaches"""

DRINKS = """coffee, green tea, black tea, hot chocolate, lemonade, orange juice, apple juice, sparkling water, milk, espresso,
cappuccino, ginger beer, iced tea, mint tea, tomato juice, coconut water, cider, red wine, root beer, oat milk, kombucha"""

ANIMALS = """dog, cat, horse, rabbit, parrot, hamster, turtle, goldfish, snake, lizard, owl, fox, wolf, bear, tiger, lion,
elephant, giraffe, zebra, dolphin, whale, penguin, otter, badger, hedgehog, squirrel, eagle, falcon, raven, swan, duck, goose,
goat, sheep, cow, pig, donkey, llama, camel, koala, panda, frog, bee, butterfly, octopus, seal, shark, crab, mouse, ferret"""

JOBS = """teacher, nurse, doctor, baker, carpenter, plumber, electrician, lawyer, librarian, journalist, architect, engineer,
programmer, designer, photographer, painter, musician, farmer, gardener, pilot, sailor, chef, waiter, barber, tailor, dentist,
surgeon, pharmacist, vet, biologist, chemist, physicist, historian, translator, accountant, banker, mechanic, driver,
firefighter, police officer, judge, actor, dancer, writer, editor, beekeeper, potter, welder, tour guide, data analyst,
product manager, shop owner, social worker, zookeeper, geologist, astronomer, violin maker, train driver, florist"""

HOBBIES = """chess, painting, hiking, cycling, swimming, running, climbing, sailing, fishing, gardening, cooking, baking,
knitting, sewing, reading, writing poems, photography, pottery, dancing, singing, skiing, surfing, skating, yoga, archery,
fencing, bird watching, board games, video games, astronomy, woodworking, juggling, origami, tennis, football, basketball,
volleyball, badminton, golf, rugby, judo, karate, table tennis, rowing, kayaking, stamp collecting, model trains"""

INSTRUMENTS = """piano, guitar, violin, cello, flute, drums, trumpet, saxophone, clarinet, harp, accordion, banjo, ukulele,
trombone, oboe, organ, bass, mandolin, bagpipes, harmonica"""

LANGUAGES = """English, French, German, Spanish, Italian, Portuguese, Dutch, Swedish, Danish, Norwegian, Finnish, Polish,
Czech, Hungarian, Greek, Turkish, Arabic, Hebrew, Hindi, Bengali, Urdu, Tamil, Mandarin, Japanese, Korean, Thai, Vietnamese,
Russian, Ukrainian, Romanian, Bulgarian, Serbian, Swahili, Yoruba, Welsh, Irish, Basque, Catalan, Latin, Esperanto"""

SUBJECTS = """maths, physics, chemistry, biology, history, geography, law, medicine, economics, philosophy, music, art history,
computer science, linguistics, psychology, sociology, architecture, engineering, astronomy, geology, statistics, literature"""

CARS = """Toyota, Honda, Ford, Volvo, Fiat, Renault, Peugeot, Skoda, Mazda, Nissan, Tesla, Audi, Subaru, Kia, Hyundai, Mini,
Jeep, Saab, Citroen, Opel, Dacia, Suzuki, Jaguar, Lexus, Porsche, red Toyota, old Volvo, blue Fiat, green Mini, white van"""

SEASONS = "spring, summer, autumn, winter"
MONTHS = "January February March April May June July August September October November December".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

THINGS = """lamp, table, chair, window, door, book, letter, bottle, basket, bicycle, boat, bridge, bucket, button, camera,
candle, carpet, clock, coat, coin, cup, desk, drawer, engine, envelope, fence, flag, fork, garden, glove, guitar, hammer, hat,
helmet, jacket, jar, kettle, key, kite, knife, ladder, lantern, lock, machine, map, mirror, needle, notebook, oven, paddle,
painting, pencil, phone, piano, pillow, plate, pocket, radio, ring, rope, sail, scarf, shelf, ship, shoe, shovel, spoon, statue,
stone, stove, suitcase, sword, tent, ticket, towel, tower, train, tray, umbrella, vase, violin, wagon, wallet, watch, wheel,
whistle, album, backpack, blanket, box, folder, printer, screen, speaker, tablet, toolbox, truck, van"""

PLACES = """kitchen, garage, attic, cellar, garden, office, library, museum, market, station, harbour, airport, school,
hospital, church, castle, forest, valley, river, lake, mountain, village, bakery, theatre, cinema, stadium, park, square,
bridge, beach, island, farm, factory, warehouse, workshop, hallway, bathroom, bedroom, living room, basement, balcony, pantry"""

ADJECTIVES = """old, new, small, large, quiet, noisy, bright, dark, warm, cold, quick, slow, heavy, light, soft, hard, clean,
dusty, broken, empty, full, famous, strange, simple, pretty, lonely, brave, clever, gentle, honest, hungry, kind, lazy, lucky,
nervous, patient, proud, silly, tired, wild, wooden, golden, silver, hidden, ancient, modern, local, secret, round, narrow"""

VERBS = """painted, carried, followed, watched, found, lost, cleaned, opened, closed, moved, repaired, visited, bought, sold,
remembered, forgot, described, crossed, built, dropped, washed, covered, admired, borrowed, returned, hid, measured, counted"""

# What a person can have a favourite of, beside the kinds with lists of their own.
FAVOURITES = """book, film, movie, song, band, singer, poet, author, painter, board game, video game, tv show, museum, park,
restaurant, cafe, shop, mountain, island, river, flower, tree, toy, word, smell, tool, website, app, podcast, magazine, team,
actor, opera, dish, cheese, spice, pasta shape, ice cream flavour, cocktail, cake, sandwich, snack, breakfast, dinosaur, planet,
superhero, holiday, composer, place, beach, bakery, teacher, cartoon, perfume, fabric, font, bird, fish, insect, brand"""

PETS = """dog, cat, parrot, hamster, horse, rabbit, turtle, goldfish, snake, pony, canary, guinea pig, lizard, ferret, goat,
donkey, duck, hen, puppy, kitten, tortoise, cow, pet, pig, mouse, rat, budgie, spider, llama, frog"""

RELATIVES = """sister, brother, mother, father, wife, husband, daughter, son, aunt, uncle, cousin, grandmother, grandfather,
niece, nephew, best friend, friend, boss, neighbour, teacher, dentist, doctor, landlord, flatmate, coach, colleague, partner,
girlfriend, boyfriend, roommate, manager, mum, dad, grandma, grandpa, accountant, lawyer, hairdresser, piano teacher, twin"""

NAMED_THINGS = """boat, car, robot, plant, band, team, company, shop, farm, house, street, school, project, cafe, guitar, bike,
computer, server, cat cafe, podcast, blog, book club, choir, startup, village, gym, bakery, ship, tent, sword, tractor"""

CODED = """passport number, passport code, wifi password, wi-fi password, password, PIN, pin code, locker number, locker code,
flight number, booking reference, badge number, licence plate, license plate, phone number, room number, seat number, account
number, order number, ticket number, membership number, customer number, door code, gate code, alarm code, bike lock code,
invoice number, serial number, tracking number, secret code, voucher code, student number, safe combination, promo code, apartment
number, house number, parking spot, desk number, library card number, access code, zip code, postcode, user name, username"""

NUMBERED = """lucky number, shoe size, age, height, weight, favourite number, jersey number, bus number, score, budget, floor,
hat size, unlucky number, magic number, team number, lottery number, goal, high score, exam mark"""

EVENTS = """meeting, dentist appointment, party, exam, flight, wedding, concert, interview, birthday party, picnic, match, job
interview, doctor's appointment, haircut, train, lecture, deadline, dinner, lunch, workshop, conference, graduation, housewarming,
yoga class, delivery, presentation, holiday, trip, barbecue, rehearsal, audition, driving test, team call, review, vaccination"""

# What somebody did: the plain form and the past.
DEEDS = """book booked, choose chose, order ordered, visit visited, rent rented, build built, watch watched, paint painted, find
found, lose lost, buy bought, sell sold, win won, see saw, read read, cook cooked, make made, clean cleaned, miss missed, repair
repaired, borrow borrowed, draw drew, plant planted, open opened, bring brought, take took, write wrote, hear heard, try tried,
pick picked, get got, use used, play played, eat ate, drink drank, adopt adopted, invite invited, meet met, name named"""
