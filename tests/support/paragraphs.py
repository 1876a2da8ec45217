# ruff: noqa: E501, RUF001
"""One story in seven languages."""

PARAGRAPHS = {
    "en": """The old library stood at the end of the street, and nobody in the town could say how long it had been there.
        Every morning, when the doors were opened, the same three people came in out of the cold and went to their
        places by the window. They did not talk much. One of them read the news from countries that he would never
        visit; another wrote letters, which she then forgot to send. The third had been looking for one book for many
        years. What would happen when it was found? That was a question which the keeper of the house liked to turn over
        in his mind, because he knew where the book was and had decided, for reasons of his own, not to tell.""",
    "de": """Die alte Bibliothek stand am Ende der Straße, und niemand in der Stadt konnte sagen, wie lange sie schon dort
        war. Jeden Morgen, wenn die Türen geöffnet wurden, kamen dieselben drei Leute aus der Kälte herein und gingen zu
        ihren Plätzen am Fenster. Sie sprachen nicht viel. Einer von ihnen las die Nachrichten aus Ländern, die er nie
        besuchen würde; eine andere schrieb Briefe, die sie dann vergaß. Der dritte suchte seit vielen Jahren ein Buch.
        Was würde geschehen, wenn es gefunden war? Der Wärter wusste, wo das Buch lag, und hatte beschlossen zu schweigen.""",
    "fr": """La vieille bibliothèque se trouvait au bout de la rue, et personne dans la ville ne savait depuis quand elle
        était là. Chaque matin, quand on ouvrait les portes, les trois mêmes personnes entraient et allaient à leur place
        près de la fenêtre. Elles ne parlaient pas beaucoup. L'une lisait les nouvelles de pays qu'elle ne verrait jamais ;
        une autre écrivait des lettres qu'elle oubliait ensuite d'envoyer. La troisième cherchait un livre depuis des
        années. Que se passerait-il quand il serait trouvé ? Le gardien savait où il était, et il avait décidé de se taire.""",
    "es": """La vieja biblioteca estaba al final de la calle, y nadie en el pueblo sabía desde cuándo. Cada mañana, cuando
        se abrían las puertas, las mismas tres personas entraban del frío y se iban a sus sitios junto a la ventana. No
        hablaban mucho. Una de ellas leía las noticias de países que nunca iba a visitar; otra escribía cartas que luego
        se olvidaba de enviar. La tercera buscaba un libro desde hacía muchos años. ¿Qué pasaría cuando lo encontrara? El
        guardián sabía dónde estaba el libro y había decidido, por razones que eran solo suyas, no decirlo a nadie.""",
    "ru": """Старая библиотека стояла в конце улицы, и никто в городе не мог сказать, как давно она там находится. Каждое
        утро, когда открывали двери, одни и те же три человека приходили с холода и садились на свои места у окна. Они мало
        говорили. Один из них читал новости из стран, в которых он никогда не побывает; другая писала письма, которые потом
        забывала отправить. Третий уже много лет искал одну книгу. Что будет, когда он её найдёт? Хранитель знал, где она
        лежит, и решил никому об этом не рассказывать, потому что у него были для этого свои причины.""",
    "zh": """老圖書館位於街道的盡頭，鎮上沒有人知道它在那裡有多久了。每天早上開門的時候，總是同樣的三個人從寒冷的外面走進來，
        坐到窗邊自己的位子上。他們很少說話。其中一個人讀著他永遠不會去的國家的新聞；另一個人寫信，然後忘了寄出去。第三個人多年來
        一直在找一本書。如果找到了，會發生什麼事呢？管理員知道書在哪裡，但是他因為自己的原因決定不告訴任何人。""",
    "th": """ห้องสมุดเก่าตั้งอยู่ที่ปลายถนน และไม่มีใครในเมืองรู้ว่ามันอยู่ที่นั่นมานานเท่าใดแล้ว ทุกเช้าเมื่อประตูเปิด คนสามคนเดิมจะเดินเข้ามาจากอากาศหนาว
        แล้วไปนั่งที่ของตนข้างหน้าต่าง พวกเขาไม่ค่อยพูดกัน คนหนึ่งอ่านข่าวจากประเทศที่เขาไม่เคยไปเยือน อีกคนเขียนจดหมายแล้วลืมส่ง คนที่สามตามหาหนังสือเล่มหนึ่งมาหลายปี
        จะเกิดอะไรขึ้นถ้าเขาพบมัน ผู้ดูแลรู้ว่าหนังสืออยู่ที่ไหน แต่ตัดสินใจไม่บอกใคร""",
}
