"""Page: results over many texts -> one .html file that is looked at, sorted and searched in a browser.

    save.py       records of results -> the file; public as `ar.save_report`
    pack.py       a Collection -> JSON, numbers as typed arrays in base64
    page.html     what stands in the file: policy, style, data, script
    *.css, *.js   put into the file as they are; main.js says what the others do

The file needs nothing from the network: its content-security policy names the hashes of its style and its script,
and forbids everything else.
"""
