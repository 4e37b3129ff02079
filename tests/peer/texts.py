# tests/peer/texts.py
# SPDX-License-Identifier: MIT
#
# Twenty texts of many kinds, written for this project, on which oriel and the peer are
# compared.
TEXTS = [
    "The old lighthouse keeper climbed the stairs every evening, counting them under his "
    "breath, although he had known for forty years that there were two hundred and nineteen. "
    "At the top he wiped the glass, lit the lamp, and sat down to wait for ships that no "
    "longer came. The harbour had silted up, and the road had taken the trade.",
    "A binary search looks at the middle of a sorted list. If the value there is larger than "
    "the one that is wanted, it goes on in the left half, otherwise in the right half. Each "
    "step halves what is left, so a list of a million entries needs twenty steps.",
    "def greatest_common_divisor(a, b):\n    while b:\n        a, b = b, a % b\n    return a\n\n"
    "def least_common_multiple(a, b):\n    return a * b // greatest_common_divisor(a, b)\n",
    "#include <stdio.h>\n\nint main(void)\n{\n    for (int i = 1; i <= 10; i++)\n"
    "        printf(\"%d squared is %d\\n\", i, i * i);\n    return 0;\n}\n",
    "Dear Mrs Palmer,\n\nthank you for your letter of 3 March. I am sorry to hear that the parcel "
    "arrived damaged. We have sent a new one today, and you need not return the old one.\n\n"
    "With kind regards,\nThomas Ellery",
    "Water boils at a lower temperature on a mountain than by the sea, because the air presses "
    "less on its surface. At four thousand metres it boils at about eighty-six degrees, which "
    "is why cooking potatoes there takes so long.",
    "Ingredients: 250 g flour, 125 g butter, 60 g sugar, one egg, a pinch of salt. Rub the "
    "butter into the flour, add the sugar and the salt, then the egg, and knead quickly. Let "
    "the dough rest in a cold place for half an hour before you roll it out.",
    "Der Zug fährt um sieben Uhr ab und kommt gegen Mittag in München an. Wer einen Platz am "
    "Fenster haben möchte, sollte früh am Bahnhof sein. Im Winter sind die Berge verschneit.",
    "Le marché ouvre à huit heures. On y trouve des légumes, des fromages et du pain frais. "
    "Quand il pleut, les marchands tendent de grandes toiles au-dessus de leurs étals.",
    "El río nace en la sierra y atraviesa tres provincias antes de llegar al mar. En verano "
    "lleva poca agua, pero en primavera inunda a veces los campos.",
    "SELECT customer.name, COUNT(*) AS orders FROM customer JOIN purchase ON purchase.customer "
    "= customer.id WHERE purchase.year = 2024 GROUP BY customer.name ORDER BY orders DESC;",
    "Question: A train travels 180 kilometres in two hours and then 120 kilometres in one and "
    "a half hours. What is its average speed?\nAnswer: The whole way is 300 kilometres and the "
    "whole time three and a half hours, so the average speed is about 86 kilometres per hour.",
    "# Notes\n\n- The **first** meeting is on Monday.\n- Bring the *signed* form.\n- See "
    "[the page](https://example.org/form) for details.\n\n| day | room |\n|-----|------|\n"
    "| Mon | 12 |\n| Tue | 14 |\n",
    "It is a common belief that bats are blind. They are not: most see about as well as we do, "
    "and some fruit bats see better. What they cannot do is see in complete darkness, and for "
    "that they have their calls and their ears.",
    "\"Where did you put the ladder?\" asked Ruth.\n\"Behind the shed,\" said her brother, "
    "\"where it always is.\"\n\"It is not there now.\"\nThey looked at each other, and then, "
    "slowly, up at the roof.",
    "{\"name\": \"kettle\", \"price\": 24.5, \"tags\": [\"kitchen\", \"electric\"], \"stock\": "
    "{\"warehouse\": 12, \"shop\": 3}, \"discontinued\": false, \"supplier\": null}",
    "The treaty was signed in the spring of that year by the ministers of four kingdoms. It "
    "fixed the borders along the two rivers, gave the free city its own court, and forbade "
    "the raising of tolls on the bridges for a period of thirty years.",
    "To prove that there are infinitely many primes, suppose that there are only finitely many, "
    "multiply them all and add one. The result is divisible by none of them, so it is either "
    "prime itself or has a prime factor that was not in the list. Both contradict the "
    "assumption.",
    "東京は日本の首都です。春には桜が咲き、多くの人が公園に集まります。 Москва стоит на реке. "
    "Зимой здесь холодно, а летом тепло. 北京是一座古老的城市。",
    "once upon a time there was a small robot who wanted to learn to paint. every morning it "
    "mixed red and blue and got purple, and every evening it wrote in its diary: today i made "
    "purple again. one day it tried yellow, and the whole page turned into a sunrise.",
]
